import { settled } from '@redcache/core/testing';
import { expect, test } from 'vitest';
import { Locks } from '../src/locks.ts';
import { hear, SETTINGS, sentOf } from './support/lock-ground.ts';
import type { ModelConnection } from './support/model-server.ts';
import { pass } from './support/pass.ts';
import { modelServers, openQuorum, placesOf } from './support/quorum-ground.ts';

const KEY = 'l:k';

/** Names of what was sent to each server since the last look. */
const sent = (ports: readonly ModelConnection[]): string[][] => ports.map(sentOf);

test('acquire costs two rounds, extend and release one, and no echo is looked after', async () => {
  const { locks, ports, servers } = await openQuorum();
  const lock = await locks.acquire('k');
  expect(placesOf(servers, KEY, lock.holder)).toBe(3);
  await lock.extend();
  await settled();
  expect(await lock.release()).toBe('released');
  await settled();
  // The first token was the highest, so the server that gave it out was told nothing more.
  for (const each of sent(ports))
    expect(each.filter((name) => name !== 'raise-fence')).toEqual(['acquire', 'extend', 'release']);
  expect(placesOf(servers, KEY, lock.holder)).toBe(0);
});

test('the lease counts from before the first send, whatever the rounds take', async () => {
  const { locks, ports, clock } = await openQuorum();
  for (const port of ports) port.delay();
  const acquiring = locks.acquire('k', { lease: '1s' });
  await pass(clock, 40);
  for (const port of ports) port.resume();
  const lock = await acquiring;
  expect(lock.remainingMs()).toBe(1_000 - 12 - 40);
});

test('a lease that is over when the majority has answered is not had', async () => {
  const { locks, ports, clock, servers } = await openQuorum();
  for (const port of ports) port.delay();
  const trying = locks.tryAcquire('k', { lease: 50 });
  // The second attempt, which nobody answers.
  const refused = expect(trying).rejects.toMatchObject({ code: 'REDCACHE_QUORUM' });
  await pass(clock, 60);
  for (const port of ports) {
    port.resume();
    port.hang();
  }
  await pass(clock, 3 * SETTINGS.commandTimeoutMs);
  await refused;
  for (const port of ports) port.resume();
  await settled();
  for (const server of servers) expect(server.get(KEY)).toBe(undefined);
});

test.for<[what: 'down' | 'hang', how: string]>([
  ['down', 'is down'],
  ['hang', 'does not answer'],
])('one of three that %s costs nothing: a majority decides', async ([what]) => {
  const { locks, ports, clock, servers } = await openQuorum();
  ports[1]?.[what]();
  const startedAtMs = clock.nowMs();
  const lock = await locks.acquire('k');
  await lock.extend();
  expect(placesOf(servers, KEY, lock.holder)).toBe(2);
  expect(await locks.isLocked('k')).toBe(true);
  expect(await lock.release()).toBe('released');
  expect(await locks.isLocked('k')).toBe(false);
  expect(clock.nowMs()).toBe(startedAtMs);
});

test('with two of three down tryAcquire says every vote, and what the third granted is given back', async () => {
  const { locks, ports, clock, servers } = await openQuorum();
  ports[0]?.down();
  ports[2]?.hang();
  const trying = expect(locks.tryAcquire('k')).rejects.toMatchObject({
    code: 'REDCACHE_QUORUM',
    key: 'k',
    votes: [
      { server: 0, vote: 'failed', error: { code: 'REDCACHE_UNAVAILABLE' } },
      { server: 1, vote: 'granted' },
      { server: 2, vote: 'failed', error: { code: 'REDCACHE_OUTCOME_UNKNOWN' } },
    ],
  });
  await pass(clock, SETTINGS.commandTimeoutMs);
  await trying;
  await settled();
  expect(servers[1]?.get(KEY)).toBe(undefined);
  ports[2]?.resume();
  await settled();
  expect(servers[2]?.get(KEY)).toBe(undefined);
});

test('acquire goes on trying while too many are away, and says so when its time is over', async () => {
  const { locks, ports, clock } = await openQuorum();
  for (const port of ports.slice(1)) port.down();
  const late = expect(locks.acquire('k', { wait: '2s' })).rejects.toMatchObject({
    code: 'REDCACHE_ACQUIRE_TIMEOUT',
    cause: { code: 'REDCACHE_QUORUM', votes: [{}, { vote: 'failed' }, { vote: 'failed' }] },
  });
  const patient = locks.acquire('k');
  await pass(clock, 2_000);
  await late;
  ports[1]?.up();
  await pass(clock, 100);
  expect((await patient).remainingMs()).toBeGreaterThan(0);
});

test('a majority that will never do is an error that is not tried again', async () => {
  const { locks, servers } = await openQuorum();
  for (const server of servers.slice(1)) server.set(KEY, 'a value');
  await expect(locks.acquire('k')).rejects.toMatchObject({ code: 'REDCACHE_CONFIG' });
  await settled();
  expect(servers[0]?.get(KEY)).toBe(undefined);
});

test('one key that is no lock is only one vote less', async () => {
  const { locks, servers } = await openQuorum();
  servers[2]?.set(KEY, 'a value');
  expect(await locks.tryAcquire('k')).toMatchObject({ key: 'k' });
  expect(servers[2]?.get(KEY)).toBe('a value');
});

test('held by others on a majority it is refused, and the minority is given back at once', async () => {
  const { locks, servers } = await openQuorum();
  for (const server of servers.slice(1)) server.set(KEY, '0-a:1', 60_000);
  expect(await locks.tryAcquire('k')).toBe(null);
  await settled();
  expect(servers[0]?.get(KEY)).toBe(undefined);
});

test('a grant that comes when the others have decided against it is given back', async () => {
  const { locks, servers, ports, clock } = await openQuorum();
  for (const server of servers.slice(1)) server.set(KEY, '0-a:1', 60_000);
  ports[0]?.hang();
  const startedAtMs = clock.nowMs();
  expect(await locks.tryAcquire('k')).toBe(null);
  expect(clock.nowMs()).toBe(startedAtMs);
  await pass(clock, 2 * SETTINGS.commandTimeoutMs);
  ports[0]?.resume();
  await settled();
  expect(servers[0]?.get(KEY)).toBe(undefined);
});

test('a grant that comes when a majority has decided for it is kept, and given back with the others', async () => {
  const { locks, servers, ports } = await openQuorum();
  ports[0]?.hang();
  const lock = await locks.acquire('k');
  ports[0]?.resume();
  await settled();
  expect(placesOf(servers, KEY, lock.holder)).toBe(3);
  await lock.release();
  await settled();
  expect(placesOf(servers, KEY, lock.holder)).toBe(0);
});

test('a grant that comes when the lock was given back is given back', async () => {
  const { locks, servers, ports, clock } = await openQuorum();
  ports[0]?.hang();
  const lock = await locks.acquire('k');
  expect(await lock.release()).toBe('released');
  await pass(clock, 3 * SETTINGS.commandTimeoutMs);
  ports[0]?.resume();
  await pass(clock, SETTINGS.commandTimeoutMs);
  expect(servers[0]?.get(KEY)).toBe(undefined);
});

test('what may have been granted on a connection that was lost is given back when it is there again', async () => {
  const { locks, servers, ports, clock } = await openQuorum();
  for (const server of servers.slice(1)) server.set(KEY, '0-a:1', 60_000);
  for (const port of ports) port.hang();
  const trying = locks.tryAcquire('k');
  await settled();
  ports[0]?.runUnheard();
  ports[0]?.down();
  for (const port of ports.slice(1)) port.resume();
  expect(await trying).toBe(null);
  expect(servers[0]?.get(KEY)).not.toBe(undefined);
  ports[0]?.up();
  await pass(clock, 1_000);
  expect(servers[0]?.get(KEY)).toBe(undefined);
});

test('whoever waits is woken by the pushes of a release, and asks once', async () => {
  const woken = hear('redcache:lock:woken');
  const one = await openQuorum();
  const two = await openQuorum(one.servers);
  const lock = await one.locks.acquire('k');
  const waiting = two.locks.acquire('k');
  await settled();
  sent(two.ports);
  const nowMs = one.clock.nowMs();
  await lock.release();
  const next = await waiting;
  expect(one.clock.nowMs()).toBe(nowMs);
  expect(next.fencingToken).toBeGreaterThan(lock.fencingToken);
  expect(woken.map(({ cause }) => cause)).toEqual(['push']);
  for (const each of sent(two.ports))
    expect(each.filter((name) => name === 'acquire')).toHaveLength(1);
});

test('whoever waits looks again when a majority of the leases has ended', async () => {
  const woken = hear('redcache:lock:woken');
  const { locks, servers, clock } = await openQuorum();
  for (const [i, server] of servers.entries()) server.set(KEY, '0-a:1', 1_000 * (i + 1));
  const waiting = locks.acquire('k');
  await settled();
  let isHad = false;
  void waiting.then(() => {
    isHad = true;
  });
  await pass(clock, 2_009, 7);
  expect(isHad).toBe(false);
  await pass(clock, 1);
  expect(isHad).toBe(true);
  // Refused by two it did not wait for the third, which might have been free; so it looked before.
  expect(woken[0]).toMatchObject({ cause: 'timer' });
  expect(woken.length).toBeLessThan(4);
});

test('without pushes those who wait ask again and again', async () => {
  const woken = hear('redcache:lock:woken');
  const one = await openQuorum();
  const two = await openQuorum(one.servers, {}, false);
  const lock = await one.locks.acquire('k');
  const waiting = two.locks.acquire('k');
  await pass(one.clock, 200);
  await lock.release();
  await pass(one.clock, 1_000);
  await waiting;
  expect(new Set(woken.map(({ cause }) => cause))).toEqual(new Set(['poll']));
});

test('split votes: each gives back what it got, and all have it one after the other', async () => {
  const all = [await openQuorum()];
  const { servers, clock } = all[0] as (typeof all)[0];
  all.push(await openQuorum(servers), await openQuorum(servers));
  // Each reaches another server first.
  for (const [i, { ports }] of all.entries())
    for (const [j, port] of ports.entries()) if (i !== j) port.hang();
  const waiting = all.map(({ locks }) => locks.acquire('k'));
  await settled();
  for (const { ports } of all) for (const port of ports) port.resume();
  await settled();
  for (const next of waiting) void next.then((lock) => lock.release());
  await pass(clock, 2_000, 1);
  const locks = await Promise.all(waiting);
  expect(new Set(locks.map(({ holder }) => holder)).size).toBe(3);
});

test('while nobody has a majority, those who wait pause longer and longer, whatever is pushed', async () => {
  const { locks, ports, servers, clock } = await openQuorum();
  for (const [i, server] of servers.slice(1).entries()) server.set(KEY, `0-${i}:1`, 60_000);
  const waiting = locks.acquire('k');
  await pass(clock, 3_000, 5);
  const early = sent(ports)[0]?.filter((name) => name === 'acquire').length;
  // Others try as well, and give back.
  for (let i = 0; i < 100; i += 1) {
    for (const [j, server] of servers.slice(1).entries()) server.set(KEY, `0-${i}${j}:1`, 60_000);
    await pass(clock, 30, 5);
  }
  const late = sent(ports)[0]?.filter((name) => name === 'acquire').length;
  expect(early).toBeLessThan(20);
  expect(late).toBeLessThan(12);
  expect(late).toBeGreaterThan(2);
  for (const server of servers.slice(1)) server.del(KEY);
  await pass(clock, 1_000, 5);
  expect((await waiting).remainingMs()).toBeGreaterThan(0);
});

test('while somebody has a bare majority, those who wait do not ask again and again', async () => {
  const { locks, ports, servers, clock } = await openQuorum();
  for (const server of servers.slice(1)) server.set(KEY, '0-a:1', 60_000);
  const waiting = locks.acquire('k');
  await settled();
  sent(ports);
  await pass(clock, 5_000);
  expect(sent(ports)).toEqual([[], [], []]);
  for (const server of servers.slice(1)) server.del(KEY);
  await pass(clock, 2_000);
  expect((await waiting).remainingMs()).toBeGreaterThan(0);
});

test('extensions are by majority, and those that come late put nothing in doubt', async () => {
  const { locks, ports, servers, clock } = await openQuorum();
  const lock = await locks.acquire('k');
  sent(ports);
  ports[2]?.delay();
  await pass(clock, 1_000);
  ports[2]?.resume();
  await pass(clock, 6_000);
  for (const each of sent(ports)) expect(new Set(each)).toEqual(new Set(['extend']));
  expect(lock.signal.aborted).toBe(false);
  expect(placesOf(servers, KEY, lock.holder)).toBe(3);
});

test('an extension that no majority confirms is an error, and the lease ends in time', async () => {
  const { locks, ports, clock } = await openQuorum();
  const lock = await locks.acquire('k', { lease: '2s', autoExtend: false });
  for (const port of ports.slice(1)) port.hang();
  const extending = expect(lock.extend('10s')).rejects.toMatchObject({
    code: 'REDCACHE_QUORUM',
    votes: [{ vote: 'granted' }, { vote: 'failed' }, { vote: 'failed' }],
  });
  await pass(clock, SETTINGS.commandTimeoutMs);
  await extending;
  await pass(clock, 2_000);
  expect(lock.signal.reason).toMatchObject({ reason: 'expired' });
});

test('the loss of a minority changes nothing, and it is taken again by the next extension', async () => {
  const { locks, servers, clock } = await openQuorum();
  const lock = await locks.acquire('k');
  servers[0]?.flush();
  await settled();
  expect(lock.signal.aborted).toBe(false);
  expect(placesOf(servers, KEY, lock.holder)).toBe(2);
  await pass(clock, 1_000);
  expect(placesOf(servers, KEY, lock.holder)).toBe(3);
  // From now on it counts as any other.
  servers[1]?.flush();
  await pass(clock, 3_000);
  expect(lock.signal.aborted).toBe(false);
  expect(placesOf(servers, KEY, lock.holder)).toBe(3);
});

test('what somebody else has on a minority is left to him', async () => {
  const { locks, servers, clock } = await openQuorum();
  const lock = await locks.acquire('k');
  servers[0]?.set(KEY, '0-a:1', 60_000);
  await pass(clock, 4_000);
  expect(lock.signal.aborted).toBe(false);
  expect(servers[0]?.get(KEY)).toBe('0-a:1');
  expect(await lock.release()).toBe('released');
  expect(servers[0]?.get(KEY)).toBe('0-a:1');
});

test.for<
  [
    reason: string,
    befall: (server: {
      flush(): void;
      del(key: string): void;
      set(key: string, value: string, forMs: number): void;
    }) => void,
  ]
>([
  ['flushed', (server) => server.flush()],
  ['deleted', (server) => server.del(KEY)],
  ['taken', (server) => server.set(KEY, '0-a:1', 60_000)],
])('the loss of a majority aborts the signal at once: %s', async ([reason, befall]) => {
  const { locks, servers, clock } = await openQuorum();
  const lock = await locks.acquire('k');
  const nowMs = clock.nowMs();
  for (const server of servers.slice(1)) befall(server);
  await settled();
  expect(clock.nowMs()).toBe(nowMs);
  expect(lock.signal.reason).toMatchObject({ reason });
  // The minority that stood is in nobody's way.
  expect(servers[0]?.get(KEY)).toBe(undefined);
  expect(await lock.release()).toBe('lost');
});

test('a majority of servers that are away ends the lease in time', async () => {
  const { locks, ports, clock } = await openQuorum();
  const lock = await locks.acquire('k');
  for (const port of ports.slice(1)) port.down();
  await pass(clock, 2_000);
  expect(lock.signal.aborted).toBe(false);
  await pass(clock, 1_000);
  expect(lock.signal.reason).toMatchObject({ reason: 'disconnected' });
});

test('servers that come back one after the other are asked, so that they push again', async () => {
  const { locks, servers, ports, clock } = await openQuorum();
  const lock = await locks.acquire('k', { autoExtend: false, lease: '60s' });
  for (const port of ports) {
    port.down();
    await settled();
    port.log.length = 0;
    port.up();
    await settled();
    expect(port.log).toEqual(['GET', 'PTTL']);
  }
  expect(lock.signal.aborted).toBe(false);
  const nowMs = clock.nowMs();
  for (const server of servers.slice(1)) server.del(KEY);
  await settled();
  expect(clock.nowMs()).toBe(nowMs);
  expect(lock.signal.reason).toMatchObject({ reason: 'deleted' });
});

test('a release that a majority did not hear is tried again behind the scenes', async () => {
  const { locks, servers, ports, clock } = await openQuorum();
  const lock = await locks.acquire('k', { lease: '10s' });
  for (const port of ports.slice(1)) port.hang();
  const releasing = expect(lock.release()).rejects.toMatchObject({ code: 'REDCACHE_QUORUM' });
  await pass(clock, SETTINGS.commandTimeoutMs);
  await releasing;
  for (const port of ports.slice(1)) port.resume();
  await pass(clock, 1_000);
  for (const server of servers) expect(server.get(KEY)).toBe(undefined);
});

test('a lost majority found at the release is said', async () => {
  const { locks, servers } = await openQuorum(undefined, {}, false);
  const lock = await locks.acquire('k');
  for (const server of servers.slice(1)) server.set(KEY, '0-a:1', 60_000);
  expect(await lock.release()).toBe('lost');
  await settled();
  expect(servers[0]?.get(KEY)).toBe(undefined);
});

test('tokens rise though each server counts for itself, and a minority forgets', async () => {
  const { locks, servers, ports } = await openQuorum();
  // One is far ahead of the others, and not the first to answer.
  servers[1]?.set('{l:k}:fence', String(10n ** 12n));
  const tokens: bigint[] = [];
  const take = async (): Promise<void> => {
    const lock = await locks.acquire('k');
    tokens.push(lock.fencingToken);
    await lock.release();
    await settled();
  };
  await take();
  servers[1]?.flush();
  ports[2]?.down();
  await take();
  ports[2]?.up();
  ports[1]?.down();
  await take();
  expect(tokens).toEqual([10n ** 12n + 1n, 10n ** 12n + 2n, 10n ** 12n + 3n]);
});

test('a token that no majority knows of is given to nobody', async () => {
  const { locks, servers, ports, clock } = await openQuorum();
  servers[0]?.set('{l:k}:fence', String(10n ** 12n));
  ports[2]?.down();
  ports[1]?.delay();
  const trying = expect(locks.tryAcquire('k')).rejects.toMatchObject({ code: 'REDCACHE_QUORUM' });
  await settled();
  // It grants, but does not hear of the higher token.
  ports[1]?.resume();
  ports[1]?.hang();
  await pass(clock, 2 * SETTINGS.commandTimeoutMs);
  await trying;
  expect(servers[0]?.get(KEY)).toBe(undefined);
});

test('callers of one process pass it on, under tokens that a majority knows of', async () => {
  const { locks, servers, ports } = await openQuorum();
  servers[1]?.set('{l:k}:fence', String(10n ** 12n));
  const first = await locks.acquire('k');
  const tokens: bigint[] = [first.fencingToken];
  const all = Array.from({ length: 20 }, () =>
    locks.withLock('k', async ({ fencingToken }) => void tokens.push(fencingToken)),
  );
  sent(ports);
  await first.release();
  await Promise.all(all);
  await settled();
  for (const [i, token] of tokens.entries())
    if (i > 0) expect(token).toBeGreaterThan(tokens[i - 1] as bigint);
  expect(tokens).toHaveLength(21);
  for (const each of sent(ports)) expect(each.length).toBeLessThan(6);
  const last = tokens.at(-1) as bigint;
  const known = servers.filter((server) => BigInt(server.get('{l:k}:fence') ?? 0) >= last);
  expect(known.length).toBeGreaterThan(1);
});

test('others get their turn though a process always has callers', async () => {
  const one = await openQuorum();
  const two = await openQuorum(one.servers);
  let over = false;
  const again = async (): Promise<void> => {
    while (!over) {
      await one.locks.withLock('k', () => settled());
      one.clock.advance(1);
    }
  };
  const busy = [again(), again()];
  const waiting = two.locks.acquire('k').then(async (lock) => {
    over = true;
    await lock.release();
  });
  await waiting;
  await Promise.all(busy);
});

test('forceAcquire takes it from whoever has it, on all servers', async () => {
  const one = await openQuorum();
  const two = await openQuorum(one.servers);
  const lock = await one.locks.acquire('k');
  const taken = await two.locks.forceAcquire('k');
  await settled();
  expect(lock.signal.reason).toMatchObject({ reason: 'taken' });
  expect(taken.fencingToken).toBeGreaterThan(lock.fencingToken);
  expect(placesOf(one.servers, KEY, taken.holder)).toBe(3);
  expect(taken.signal.aborted).toBe(false);
});

test('inspect tells who has a majority, and of a minority nothing', async () => {
  const { locks, servers, ports, clock } = await openQuorum();
  servers[0]?.set(KEY, '0-b:7', 60_000);
  servers[1]?.set(KEY, '0-a:1', 50_000);
  expect(await locks.inspect('k')).toMatchObject({ holder: null });
  servers[2]?.set(KEY, '0-a:3', 40_000);
  expect(await locks.inspect('k')).toMatchObject({
    holder: { holder: '0-a', fencingToken: 3n, remainingMs: 40_000, isOurs: false },
    waitingProcesses: 0,
  });
  for (const port of ports.slice(1)) port.down();
  await expect(locks.inspect('k')).rejects.toMatchObject({ code: 'REDCACHE_QUORUM' });
  await expect(locks.isLocked('k')).rejects.toMatchObject({ code: 'REDCACHE_QUORUM' });
  for (const port of ports.slice(1)) port.up();
  await pass(clock, 20);
});

test('an abort while the servers are asked gives back what they grant', async () => {
  const { locks, servers, ports, clock } = await openQuorum();
  for (const port of ports) port.delay();
  const abort = new AbortController();
  const reason = new Error('no longer');
  const acquiring = expect(locks.acquire('k', { signal: abort.signal })).rejects.toBe(reason);
  await settled();
  abort.abort(reason);
  await acquiring;
  for (const port of ports) port.resume();
  await pass(clock, 100);
  for (const server of servers) expect(server.get(KEY)).toBe(undefined);
});

test('close() gives back what is held, and leaves neither timer nor listener', async () => {
  const { locks, servers, ports, clock } = await openQuorum();
  const lock = await locks.acquire('k');
  const waiting = expect(locks.acquire('k')).rejects.toMatchObject({ code: 'REDCACHE_CLOSED' });
  ports[1]?.hang();
  const closing = locks.close();
  await pass(clock, 2 * SETTINGS.commandTimeoutMs);
  await closing;
  await waiting;
  expect(lock.signal.reason).toMatchObject({ reason: 'closed' });
  ports[1]?.resume();
  for (const server of servers) expect(server.get(KEY)).toBe(undefined);
  expect(clock.timers).toBe(0);
});

test('keyMajority: a lock stands in 2m-1 keys of one server, and the loss of m-1 changes nothing', async () => {
  const [server] = modelServers(1);
  if (server === undefined) throw new Error('no server');
  const first = await server.connect();
  const { clock } = server;
  const locks = new Locks({ ...SETTINGS, clock }, { sources: [{ first }], keyMajority: 2 });
  const lock = await locks.acquire('k');
  const keys = server.keys.filter((key) => server.get(key)?.startsWith(lock.holder));
  expect(keys).toHaveLength(3);
  expect(keys).toContain(KEY);
  server.del(KEY);
  await settled();
  expect(lock.signal.aborted).toBe(false);
  const other = new Locks(
    { ...SETTINGS, clock },
    { sources: [{ first: await server.connect() }], keyMajority: 2 },
  );
  expect(await other.tryAcquire('k')).toBe(null);
  server.del(keys.find((key) => key !== KEY) ?? '');
  await settled();
  expect(lock.signal.reason).toMatchObject({ reason: 'deleted' });
  expect(await other.tryAcquire('k')).toMatchObject({ key: 'k' });
});
