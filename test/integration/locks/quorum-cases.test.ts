// One lock on several servers that know nothing of each other: a majority decides.
import { setImmediate } from 'node:timers/promises';
import type { Lock } from '@redcache/locks';
import { describe, expect, onTestFinished, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { TcpProxy } from '../../support/proxy.ts';
import type { ServerNode } from '../../support/server-node.ts';
import { ShiftedClock } from '../../support/shifted-clock.ts';
import { aborted, extensions, hear, inRedis } from './ground.ts';
import { attempt, everywhere, openQuorum, startServers } from './quorum-ground.ts';

const HOURLY = { lease: '1h' } as const;
const HOUR_MS = 3_600_000;
const KEY = inRedis('k');

/** Whether a server holds the key for this lock. */
const isOn = async (server: ServerNode, { holder }: Lock): Promise<boolean> =>
  String(await server.ask('GET', KEY)).startsWith(holder);

test('a lock stands on all servers, is extended on all and given back on all', async () => {
  const servers = await startServers();
  const locks = await openQuorum(servers);
  const lock = await locks.acquire('k', HOURLY);
  expect(lock.remainingMs()).toBeLessThanOrEqual(HOUR_MS * 0.99);
  for (const server of servers) expect(await eventually(() => isOn(server, lock))).toBe(true);
  for (const pttl of await everywhere(servers, 'PTTL', KEY)) {
    expect(pttl).toBeLessThanOrEqual(HOUR_MS);
    expect(pttl).toBeGreaterThan(HOUR_MS / 2);
  }
  await lock.extend('3h');
  await eventually(
    () => everywhere(servers, 'PTTL', KEY),
    (all) => all.every((pttl) => Number(pttl) > 2 * HOUR_MS),
  );
  expect(await locks.tryAcquire('k')).toBe(null);
  expect(await locks.isLocked('k')).toBe(true);
  expect(await lock.release()).toBe('released');
  await eventually(
    () => everywhere(servers, 'EXISTS', KEY),
    (all) => all.every((count) => count === 0),
  );
  expect(await locks.isLocked('k')).toBe(false);
});

describe.for([3, 5])('of %i servers', (count) => {
  test('whichever hold the lock for another, the others are enough if they are a majority, and left alone if not', async () => {
    const servers = await startServers(count);
    const locks = await openQuorum(servers);
    const majority = Math.floor(count / 2) + 1;
    for (let mask = 0; mask < 2 ** count; mask += 1) {
      const others = servers.filter((_, i) => mask & (1 << i));
      const free = servers.filter((server) => !others.includes(server));
      await everywhere(others, 'SET', KEY, 'somebody else', 'PX', String(HOUR_MS));
      const lock = await attempt(locks, 'k');
      expect(lock !== null).toBe(free.length >= majority);
      if (lock !== null) {
        await lock.extend('3h');
        expect(await lock.release()).toBe('released');
      }
      await eventually(
        () => everywhere(free, 'EXISTS', KEY),
        (all) => all.every((each) => each === 0),
      );
      for (const value of await everywhere(others, 'GET', KEY)) expect(value).toBe('somebody else');
      for (const pttl of await everywhere(others, 'PTTL', KEY))
        expect(pttl).toBeLessThanOrEqual(HOUR_MS);
      await everywhere(others, 'DEL', KEY);
    }
  });
});

test('clients who all want one lock have it one at a time, under rising tokens', async () => {
  const servers = await startServers();
  const all = await Promise.all(Array.from({ length: 8 }, () => openQuorum(servers)));
  const tokens: bigint[] = [];
  let inside = 0;
  await Promise.all(
    all.map(async (locks) => {
      for (let turn = 0; turn < 5; turn += 1)
        await locks.withLock('k', { lease: '10s' }, async ({ fencingToken }) => {
          inside += 1;
          tokens.push(fencingToken);
          await setImmediate();
          expect(inside).toBe(1);
          inside -= 1;
        });
    }),
  );
  expect(tokens).toHaveLength(40);
  for (const [i, token] of tokens.entries())
    if (i > 0) expect(token).toBeGreaterThan(tokens[i - 1] as bigint);
}, 60_000);

test('clients of different kinds make one quorum', async () => {
  const servers = await startServers();
  const [one, two] = await Promise.all([
    openQuorum(servers),
    openQuorum(servers, { tracked: false }),
  ]);
  const lock = await one.acquire('k', HOURLY);
  const waiting = two.acquire('k', HOURLY);
  expect(await two.tryAcquire('k')).toBe(null);
  expect(await lock.release()).toBe('released');
  expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
});

describe.for([
  ['killed', (server: ServerNode) => server.kill()],
  ['stopped', (server: ServerNode) => server.pause()],
] as const)('with a server that is %s', ([, maltreat]) => {
  test('1 of 3: locks are had, extended, waited for and given back', async () => {
    const servers = await startServers();
    const [one, two] = await Promise.all([openQuorum(servers), openQuorum(servers)]);
    const before = await one.acquire('k', { lease: '5s' });
    await maltreat(servers[2] as ServerNode);
    await extensions(before, 3);
    expect(before.signal.aborted).toBe(false);
    const waits = hear('redcache:lock:waiting');
    const waiting = two.acquire('k', HOURLY);
    await eventually(() => waits.length > 0);
    expect(await before.release()).toBe('released');
    const next = await waiting;
    expect(next.fencingToken).toBeGreaterThan(before.fencingToken);
    await next.extend();
    expect(await one.tryAcquire('k')).toBe(null);
    expect(await next.release()).toBe('released');
    expect(await one.acquire('k', HOURLY)).toMatchObject({ key: 'k' });
  });

  test('2 of 3: nobody is told that he has a lock, and every vote is told', async () => {
    const servers = await startServers();
    const locks = await openQuorum(servers);
    await Promise.all(servers.slice(1).map(maltreat));
    const error = await locks.tryAcquire('k', HOURLY).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'REDCACHE_QUORUM' });
    const { votes } = error as { votes: readonly { server: number; vote: string }[] };
    expect(votes.map(({ server }) => server)).toEqual([0, 1, 2]);
    expect(votes.map(({ vote }) => vote)).toEqual(['granted', 'failed', 'failed']);
    // What the minority granted is given back at once.
    await eventually(async () => (await servers[0]?.ask('EXISTS', KEY)) === 0);
    expect(await attempt(locks, 'k')).toBe(null);
    await eventually(async () => (await servers[0]?.ask('EXISTS', KEY)) === 0);
  });

  test('2 of 3 while it is held: its holder is told before the lease ends, and gives the rest back', async () => {
    const servers = await startServers();
    const [one, two] = await Promise.all([openQuorum(servers), openQuorum(servers)]);
    const lock = await one.acquire('k', { lease: '1s' });
    const loss = aborted(lock.signal);
    await Promise.all(servers.slice(1).map(maltreat));
    expect(await loss).toMatchObject({
      code: 'REDCACHE_LOCK_LOST',
      reason: expect.stringMatching(/expired|disconnected/),
    });
    expect(lock.remainingMs()).toBe(0);
    await lock.release().catch(() => {});
    await eventually(async () => (await servers[0]?.ask('EXISTS', KEY)) === 0);
    expect(await attempt(two, 'k')).toBe(null);
    // They are back, the killed ones empty: the next who wants it has it.
    await Promise.all(
      servers.slice(1).map(async (server) => (server.running ? server.resume() : server.start())),
    );
    const next = await two.acquire('k', HOURLY);
    expect(next.fencingToken).toBeGreaterThan(lock.fencingToken);
  });
});

test('a lock outlives the restart of every server, one after the other, since it is put back on each', async () => {
  const servers = await startServers();
  const [one, two] = await Promise.all([openQuorum(servers), openQuorum(servers)]);
  const lock = await one.acquire('k', { lease: '2s' });
  for (const server of servers) {
    await server.kill();
    expect(await attempt(two, 'k')).toBe(null);
    await server.start();
    expect(await eventually(() => isOn(server, lock))).toBe(true);
    expect(lock.signal.aborted).toBe(false);
  }
  expect(await lock.release()).toBe('released');
  await two.acquire('k', HOURLY);
}, 60_000);

test.for([
  ['DEL', [['DEL', KEY]], 'deleted'],
  ['a takeover', [['SET', KEY, 'somebody else', 'PX', '3600000']], 'taken'],
  ['FLUSHALL', [['FLUSHALL']], /flushed|deleted/],
] as const)('%s on one server is no loss, on two it is', async ([, commands, reason]) => {
  const servers = await startServers();
  const locks = await openQuorum(servers);
  const lock = await locks.acquire('k', { lease: '2s' });
  const strike = async (server: ServerNode): Promise<void> => {
    for (const command of commands) await server.ask(...command);
  };
  await strike(servers[0] as ServerNode);
  await extensions(lock, 3);
  expect(lock.signal.aborted).toBe(false);
  const loss = aborted(lock.signal);
  await Promise.all(servers.map(strike));
  expect(await loss).toMatchObject({
    reason: reason instanceof RegExp ? expect.stringMatching(reason) : reason,
  });
  expect(await lock.release()).toBe('lost');
});

test('a lease that was cut short on all servers is repaired', async () => {
  const servers = await startServers();
  const locks = await openQuorum(servers);
  const lock = await locks.acquire('k', HOURLY);
  await everywhere(servers, 'PEXPIRE', KEY, '60000');
  await eventually(
    () => everywhere(servers, 'PTTL', KEY),
    (all) => all.filter((pttl) => Number(pttl) > HOUR_MS / 2).length >= 2,
  );
  expect(lock.signal.aborted).toBe(false);
});

test('a former holder of a quorum can neither extend nor give back what another has', async () => {
  const servers = await startServers();
  const [one, two] = await Promise.all([openQuorum(servers), openQuorum(servers)]);
  const lock = await one.acquire('k', { lease: 200, autoExtend: false });
  const next = await two.acquire('k', HOURLY);
  await expect(lock.extend()).rejects.toMatchObject({ code: 'REDCACHE_LOCK_LOST' });
  expect(await lock.release()).toBe('lost');
  await next.extend();
  expect(next.signal.aborted).toBe(false);
  expect(await one.tryAcquire('k')).toBe(null);
});

test('a slow server holds nobody up for longer than its timeout', async () => {
  const servers = await startServers();
  const proxy = await TcpProxy.start(servers[2] as ServerNode);
  onTestFinished(() => proxy.close());
  const locks = await openQuorum([...servers.slice(0, 2), proxy], { commandTimeout: 200 });
  proxy.stall('both');
  for (let times = 0; times < 5; times += 1) {
    const lock = await locks.acquire('k', HOURLY);
    expect(await lock.release()).toBe('released');
  }
  proxy.resume();
  // What it was still asked for comes late, and leaves nothing behind.
  await eventually(async () => (await servers[2]?.ask('EXISTS', KEY)) === 0);
});

describe.for([5_000, -5_000])('with one server whose clock is off by %i ms', (offsetMs) => {
  async function openWithClock() {
    const servers = await startServers();
    const clock = await ShiftedClock.start(servers[0] as ServerNode, offsetMs);
    onTestFinished(() => clock[Symbol.asyncDispose]());
    const ways = [clock, ...servers.slice(1)];
    return { servers, ways, clock };
  }

  test('a lock is had, extended, waited for and given back as ever', async () => {
    const { ways, clock } = await openWithClock();
    const [one, two] = await Promise.all([openQuorum(ways), openQuorum(ways)]);
    const lock = await one.acquire('k', { lease: '1s' });
    const waiting = two.acquire('k', HOURLY);
    await extensions(lock, 6);
    expect(lock.signal.aborted).toBe(false);
    expect(await lock.release()).toBe('released');
    expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
    expect(clock.shifted).toBeGreaterThan(0);
  });

  test('tokens rise whichever two servers are there, and whichever was there before', async () => {
    const { servers, ways } = await openWithClock();
    const locks = await openQuorum(ways);
    let last = 0n;
    const take = async (): Promise<void> => {
      const lock = await eventually(() => locks.acquire('k', { ...HOURLY, wait: '10s' }));
      expect(lock.fencingToken).toBeGreaterThan(last);
      last = lock.fencingToken;
      expect(await lock.release()).toBe('released');
    };
    await take();
    for (const away of [0, 1, 2, 0]) {
      // Stopped, so that it keeps what it knows and nothing of what it misses.
      await servers[away]?.pause();
      await take();
      await take();
      await servers[away]?.resume();
      await take();
    }
  }, 60_000);
});
