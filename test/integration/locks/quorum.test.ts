import { createLocks, type Locks, type LocksRules } from '@redcache/locks';
import { expect, inject, onTestFinished, test } from 'vitest';
import type { handlers as locker } from '../../children/locker.ts';
import { startChildren } from '../../support/children.ts';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import type { ServerNode } from '../../support/server-node.ts';
import { aborted, type Client, freshKey, hear, inRedis, openClient } from './ground.ts';

/** Servers that know nothing of each other, stopped when the test ends. */
async function startServers(count = 3): Promise<readonly ServerNode[]> {
  const servers: StandaloneDeployment[] = await Promise.all(
    Array.from({ length: count }, () => startStandalone()),
  );
  onTestFinished(async () => void (await Promise.all(servers.map((server) => server.stop()))));
  return servers.map(({ node }) => node);
}

interface Opened {
  readonly locks: Locks;
  readonly clients: readonly Client[];
}

/** Locks that need a majority of the servers, closed when the test ends. */
async function openQuorum(
  servers: readonly ServerNode[],
  { tracked = true, ...options }: LocksRules & { readonly tracked?: boolean } = {},
): Promise<Opened> {
  const clients = await Promise.all(servers.map(({ url }) => openClient(url, tracked)));
  const locks = createLocks({ clients, ...options });
  onTestFinished(() => locks.close());
  return { locks, clients };
}

/** On how many of the servers the lock of `k` is this holder's. */
async function heldOn(servers: readonly ServerNode[], holder: string): Promise<number> {
  const values = await Promise.all(servers.map((server) => server.ask('GET', inRedis('k'))));
  return values.filter((value) => String(value).startsWith(`${holder}:`)).length;
}

test('a lock stands on all servers, is extended there, and is gone from all when it is released', async () => {
  const servers = await startServers();
  const { locks } = await openQuorum(servers);
  const lock = await locks.acquire('k', { lease: '20s' });
  await eventually(async () => (await heldOn(servers, lock.holder)) === 3);
  await lock.extend('60s');
  expect(lock.remainingMs()).toBeGreaterThan(40_000);
  expect(await locks.isLocked('k')).toBe(true);
  expect(await locks.inspect('k')).toMatchObject({
    holder: { holder: lock.holder, isOurs: true },
    local: { leases: [{ locks: [{ fencingToken: lock.fencingToken }] }] },
  });
  expect(await locks.tryAcquire('k')).toBe(null);
  expect(await lock.release()).toBe('released');
  await eventually(async () => (await heldOn(servers, lock.holder)) === 0);
  expect(lock.signal.aborted).toBe(false);
});

test.for([true, false])(
  'one at a time has a lock that many clients want, each under a higher token, client-side cache: %s',
  async (tracked) => {
    const servers = await startServers();
    const all = await Promise.all(
      Array.from({ length: 4 }, () => openQuorum(servers, { tracked, retry: { delay: 10 } })),
    );
    let inside = 0;
    const tokens: bigint[] = [];
    await Promise.all(
      all.flatMap(({ locks, clients }) =>
        Array.from({ length: 5 }, () =>
          locks.withLock('k', async (lock) => {
            inside += 1;
            expect(inside).toBe(1);
            tokens.push(lock.fencingToken);
            await clients[0]?.ping();
            inside -= 1;
          }),
        ),
      ),
    );
    expect(tokens).toHaveLength(20);
    for (const [i, token] of tokens.entries())
      if (i > 0) expect(token).toBeGreaterThan(tokens[i - 1] as bigint);
  },
);

test('processes that count under one lock of a quorum lose no count', async () => {
  const servers = await startServers();
  const urls = servers.map(({ url }) => url);
  await using children = await startChildren<typeof locker>('locker.ts', { count: 3 });
  await children.requestAll('openQuorum', urls);
  await children.requestAll('count', 'k', 'counter', 20);
  expect(await servers[0]?.ask('GET', 'counter')).toBe('60');
});

test('the lock of a process that was killed is had at the end of its lease', async () => {
  const servers = await startServers();
  const urls = servers.map(({ url }) => url);
  await using children = await startChildren<typeof locker>('locker.ts', { count: 2 });
  await children.requestAll('openQuorum', urls);
  const [one, two] = children.all;
  const first = await one?.request('acquire', 'k', 1_000);
  const waiting = two?.request('acquire', 'k', 1_000);
  await one?.kill();
  expect(await waiting).toBeGreaterThan(first as bigint);
});

test.for([true, false])(
  'whoever waits is woken by the pushes of a release, client-side cache: %s',
  async (tracked) => {
    const servers = await startServers();
    const woken = hear('redcache:lock:woken');
    const waits = hear('redcache:lock:waiting');
    const one = await openQuorum(servers, { tracked });
    const two = await openQuorum(servers, { tracked, retry: { delay: '60s' } });
    const lock = await one.locks.acquire('k', { lease: '60s' });
    const waiting = two.locks.acquire('k');
    // An untracked client has a tracked connection opened to each server, and asks over it.
    await eventually(async () => {
      const infos = await Promise.all(servers.map((server) => server.ask('INFO', 'clients')));
      const all = infos.every((info) =>
        String(info).includes(`tracking_clients:${tracked ? 2 : 1}\r`),
      );
      return all && waits.length === 1 && (tracked || woken.length > 0);
    });
    // Whatever it asks for comes after what it asked before on the same connections.
    await two.locks.inspect('k');
    await lock.release();
    const next = await waiting;
    expect(next.fencingToken).toBeGreaterThan(lock.fencingToken);
    expect(woken.filter(({ cause }) => cause === 'push').length).toBeGreaterThan(0);
  },
);

test('with 1 of 3 servers killed everything goes on, and with 2 every vote is said', async () => {
  const servers = await startServers();
  const { locks } = await openQuorum(servers, { lease: '60s' });
  await servers[0]?.kill();
  const lock = await locks.acquire('k');
  await lock.extend();
  expect(await heldOn(servers.slice(1), lock.holder)).toBe(2);
  expect(await lock.release()).toBe('released');
  await servers[1]?.kill();
  await expect(locks.tryAcquire('k')).rejects.toMatchObject({
    code: 'REDCACHE_QUORUM',
    key: 'k',
    votes: [
      { server: 0, vote: 'failed' },
      { server: 1, vote: 'failed' },
      { server: 2, vote: 'granted' },
    ],
  });
  await expect(locks.acquire('k', { wait: 300 })).rejects.toMatchObject({
    code: 'REDCACHE_ACQUIRE_TIMEOUT',
    cause: { code: 'REDCACHE_QUORUM' },
  });
  // What the one that is left has granted was given back.
  await eventually(async () => (await servers[2]?.ask('EXISTS', inRedis('k'))) === 0);
  const patient = locks.acquire('k');
  await servers[1]?.start();
  expect((await patient).remainingMs()).toBeGreaterThan(0);
});

test('a server that stands still costs nothing while the others are a majority', async () => {
  const servers = await startServers();
  // Nobody could wait for an answer as long as that.
  const { locks } = await openQuorum(servers, { commandTimeout: '1h', lease: '2h' });
  await servers[1]?.pause();
  const lock = await locks.acquire('k');
  await lock.extend();
  expect(await lock.release()).toBe('released');
  expect(await locks.isLocked('k')).toBe(false);
  await servers[1]?.resume();
  await eventually(async () => (await servers[1]?.ask('EXISTS', inRedis('k'))) === 0);
});

test('servers that stand still cost their timeout, and what they grant later is given back', async () => {
  const servers = await startServers();
  const { locks } = await openQuorum(servers, { commandTimeout: 200, lease: '60s' });
  await Promise.all(servers.slice(1).map((server) => server.pause()));
  await expect(locks.tryAcquire('k')).rejects.toMatchObject({
    code: 'REDCACHE_QUORUM',
    votes: [
      { vote: 'granted' },
      { vote: 'failed', error: { code: 'REDCACHE_OUTCOME_UNKNOWN' } },
      { vote: 'failed', error: { code: 'REDCACHE_OUTCOME_UNKNOWN' } },
    ],
  });
  await Promise.all(servers.slice(1).map((server) => server.resume()));
  await eventually(async () => {
    const there = await Promise.all(servers.map((server) => server.ask('EXISTS', inRedis('k'))));
    return there.every((count) => count === 0);
  });
  expect(await locks.tryAcquire('k')).toMatchObject({ key: 'k' });
});

test('a server that restarts empty takes nothing from the holder, and is taken again', async () => {
  const servers = await startServers();
  const { locks } = await openQuorum(servers, { lease: '3s' });
  const other = await openQuorum(servers);
  const lock = await locks.acquire('k');
  await servers[2]?.restart();
  expect(await other.locks.tryAcquire('k')).toBe(null);
  await eventually(async () => (await heldOn(servers, lock.holder)) === 3);
  expect(lock.signal.aborted).toBe(false);
  // From now on it counts, so another may forget.
  await servers[0]?.ask('FLUSHALL');
  expect(await other.locks.tryAcquire('k')).toBe(null);
  await eventually(async () => (await heldOn(servers, lock.holder)) === 3);
  expect(lock.signal.aborted).toBe(false);
});

test('the signal is aborted at once when a majority has forgotten the lock', async () => {
  const servers = await startServers();
  const { locks } = await openQuorum(servers, { lease: '1h' });
  const lock = await locks.acquire('k');
  await servers[0]?.ask('FLUSHALL');
  await locks.isLocked('k');
  expect(lock.signal.aborted).toBe(false);
  const lost = aborted(lock.signal);
  await servers[1]?.ask('DEL', inRedis('k'));
  expect(await lost).toMatchObject({ code: 'REDCACHE_LOCK_LOST', reason: 'deleted' });
  await eventually(async () => (await heldOn(servers, lock.holder)) === 0);
});

test('forceAcquire takes it from its holder on all servers', async () => {
  const servers = await startServers();
  const one = await openQuorum(servers);
  const two = await openQuorum(servers);
  const lock = await one.locks.acquire('k');
  const lost = aborted(lock.signal);
  const taken = await two.locks.forceAcquire('k');
  expect(await lost).toMatchObject({ reason: 'taken' });
  expect(taken.fencingToken).toBeGreaterThan(lock.fencingToken);
  expect(await lock.release()).toBe('lost');
  await taken.extend();
});

test('tokens rise across release, a flush of a minority, and a server whose clock is ahead', async () => {
  const servers = await startServers();
  const { locks } = await openQuorum(servers);
  // A last token beyond what the clocks of the others say.
  const ahead = BigInt(Date.now() + 86_400_000) * 1_000n;
  const fence = `{${inRedis('k')}}:fence`;
  await servers[0]?.ask('SET', fence, String(ahead));
  await servers[1]?.pause();
  const tokens: bigint[] = [];
  const take = async (): Promise<void> => {
    const lock = await locks.acquire('k', { wait: '20s' });
    tokens.push(lock.fencingToken);
    await lock.release();
  };
  await take();
  await servers[1]?.resume();
  // The one that had been ahead has forgotten it; another knows.
  await servers[0]?.ask('FLUSHALL');
  await take();
  await servers[2]?.pause();
  await take();
  await servers[2]?.resume();
  expect(tokens[0]).toBe(ahead + 1n);
  for (const [i, token] of tokens.entries())
    if (i > 0) expect(token).toBeGreaterThan(tokens[i - 1] as bigint);
});

test('a server that has given out higher tokens is told of a lower one and stays with its own', async () => {
  const servers = await startServers();
  const { locks, clients } = await openQuorum(servers, { lease: '60s' });
  const ahead = BigInt(Date.now() + 86_400_000) * 1_000n;
  const fence = `{${inRedis('k')}}:fence`;
  await servers[2]?.ask('SET', fence, String(ahead));
  await servers[2]?.pause();
  const lock = await locks.acquire('k');
  expect(lock.fencingToken).toBeLessThan(ahead);
  await servers[2]?.resume();
  // Whatever was sent over this connection has run by then.
  await clients[2]?.ping();
  expect(await heldOn(servers, lock.holder)).toBe(3);
  expect(await servers[2]?.ask('GET', fence)).toBe(String(ahead + 1n));
  expect(Number(await servers[2]?.ask('PTTL', fence))).toBeGreaterThan(3_600_000);
});

test('close() leaves nothing on any server', async () => {
  const servers = await startServers();
  const { locks } = await openQuorum(servers);
  const lock = await locks.acquire('k');
  const waiting = expect(locks.acquire('k')).rejects.toMatchObject({ code: 'REDCACHE_CLOSED' });
  await locks.close();
  await waiting;
  expect(lock.signal.reason).toMatchObject({ reason: 'closed' });
  await eventually(async () => (await heldOn(servers, lock.holder)) === 0);
});

test('keyMajority: a lock is held while m of its 2m-1 keys stand', async () => {
  const { standalone } = inject('redis');
  const key = freshKey('many');
  const client = await openClient(standalone, true);
  const observer = await openClient(standalone);
  const locks = createLocks({ client, keyMajority: 3 });
  onTestFinished(() => locks.close());
  const other = createLocks({ client: await openClient(standalone, true), keyMajority: 3 });
  onTestFinished(() => other.close());
  const lock = await locks.acquire(key, { lease: '60s' });
  const keys = (await observer.keys(`*${key}`)).filter((name) => !name.includes(':fence:'));
  expect(keys).toHaveLength(5);
  expect(keys).toContain(inRedis(key));
  await observer.del(keys.slice(0, 2));
  expect(await other.tryAcquire(key)).toBe(null);
  expect(lock.signal.aborted).toBe(false);
  const waiting = other.acquire(key, { wait: '20s' });
  const lost = aborted(lock.signal);
  await observer.del(keys.slice(2, 3));
  expect(await lost).toMatchObject({ reason: expect.stringMatching(/deleted|taken/) });
  expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
});
