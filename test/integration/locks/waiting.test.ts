import { setImmediate } from 'node:timers/promises';
import { trackingOf } from '@redcache/core/node-redis';
import type { AcquireOptions, Locks } from '@redcache/locks';
import { expect, inject, test } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { freshKey, hear, inRedis, openLocks } from './ground.ts';

const url = inject('redis').standalone;

test('one at a time holds a lock that many clients want, each under a higher token', async () => {
  const key = freshKey('contended');
  const all = await Promise.all(Array.from({ length: 5 }, () => openLocks(url)));
  let inside = 0;
  const tokens: bigint[] = [];
  await Promise.all(
    all.flatMap(({ locks }) =>
      Array.from({ length: 20 }, () =>
        locks.withLock(key, async (lock) => {
          inside += 1;
          tokens.push(lock.fencingToken);
          await setImmediate();
          expect(inside).toBe(1);
          inside -= 1;
        }),
      ),
    ),
  );
  expect(tokens).toHaveLength(100);
  for (const [i, token] of tokens.entries())
    if (i > 0) expect(token).toBeGreaterThan(tokens[i - 1] as bigint);
});

test.for([true, false])(
  'whoever waits is woken by the push of a release, client-side cache: %s',
  async (tracked) => {
    const woken = hear('redcache:lock:woken');
    const key = freshKey('push');
    const one = await openLocks(url, { tracked });
    const two = await openLocks(url, { tracked, retry: { delay: '60s' } });
    const lock = await one.locks.acquire(key, { lease: '60s' });
    const waiting = two.locks.acquire(key);
    // An untracked client has had a tracked connection opened, and has asked over it.
    await eventually(async () => (await one.locks.inspect(key)).waitingProcesses === 1);
    expect(await lock.release()).toBe('released');
    const { fencingToken } = await waiting;
    expect(fencingToken).toBeGreaterThan(lock.fencingToken);
    expect(woken.map(({ cause }) => cause)).toEqual(tracked ? ['push'] : ['poll', 'push']);
  },
);

test('a lock whose holder is heard of no more is had at the end of its lease', async () => {
  const woken = hear('redcache:lock:woken');
  const key = freshKey('crashed');
  const { locks, client } = await openLocks(url);
  await client.set(inRedis(key), '01890000-0000-7000-8000-000000000000:1', {
    expiration: { type: 'PX', value: 150 },
  });
  const lock = await locks.acquire(key, { wait: '20s' });
  expect(lock.remainingMs()).toBeGreaterThan(0);
  // By its own timer, or by the push of the server that removed the key first.
  expect(woken.map(({ cause }) => cause)).toEqual([expect.stringMatching(/^(timer|push)$/)]);
});

test('without tracking a lock is had by asking again and again', async () => {
  const woken = hear('redcache:lock:woken');
  const key = freshKey('polled');
  const one = await openLocks(url, { tracked: false, tracking: 'poll' });
  const two = await openLocks(url, { tracked: false, tracking: 'poll', retry: { delay: 5 } });
  const lock = await one.locks.acquire(key, { lease: '60s' });
  const waiting = two.locks.acquire(key);
  await eventually(() => woken.length > 2);
  await lock.release();
  await waiting;
  expect(new Set(woken.map(({ cause }) => cause))).toEqual(new Set(['poll']));
});

/** One holds `k` for a minute; another has seen that, and waits. */
async function holderAndWaiter(url: string) {
  const woken = hear('redcache:lock:woken');
  const waits = hear('redcache:lock:waiting');
  const one = await openLocks(url);
  const two = await openLocks(url);
  const lock = await one.locks.acquire('k', { lease: '60s' });
  const waiting = two.locks.acquire('k');
  await eventually(() => waits.length === 1);
  await two.locks.isLocked('k');
  return { lock, waiting, woken };
}

test('FLUSHALL lets those who wait go on at once, and tokens rise all the same', async () => {
  await using redis = await startStandalone();
  const { lock, waiting, woken } = await holderAndWaiter(redis.url);
  await redis.node.ask('FLUSHALL');
  const { fencingToken } = await waiting;
  expect(fencingToken).toBeGreaterThan(lock.fencingToken);
  expect(woken.map(({ cause }) => cause)).toEqual(['flush']);
  await eventually(() => lock.signal.aborted);
  expect(lock.signal.reason).toMatchObject({ reason: expect.stringMatching(/flushed|taken/) });
});

test('CLIENT KILL costs those who wait a reconnect, not the lease', async () => {
  await using redis = await startStandalone();
  const { lock, waiting, woken } = await holderAndWaiter(redis.url);
  await redis.node.ask('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  // The waiter finds after its reconnect that the lock is still held, and waits on.
  await eventually(() => woken.length === 1);
  expect(woken[0]).toMatchObject({ cause: 'disconnect' });
  expect(lock.signal.aborted).toBe(false);
  // The holder's connection, too, has to be back to release it.
  await eventually(() => lock.release());
  await waiting;
});

test('a server that is killed and starts empty lets those who wait go on', async () => {
  await using redis = await startStandalone();
  const { locks } = await openLocks(redis.url);
  const waits = hear('redcache:lock:waiting');
  const other = await openLocks(redis.url);
  const lock = await other.locks.acquire('k', { lease: '60s' });
  const waiting = locks.acquire('k');
  await eventually(() => waits.length === 1);
  await redis.node.kill();
  await expect(locks.tryAcquire('k')).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
  await expect(locks.isLocked('k')).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
  await redis.node.start();
  const next = await waiting;
  expect(next.fencingToken).toBeGreaterThan(lock.fencingToken);
  await eventually(() => lock.signal.aborted);
  expect(lock.signal.reason).toMatchObject({ reason: expect.stringMatching(/deleted|taken/) });
});

test('while a server is stopped nobody is told that he has a lock', async () => {
  await using redis = await startStandalone();
  const { locks } = await openLocks(redis.url, { commandTimeout: 200 });
  await redis.node.pause();
  const late = expect(locks.acquire('k', { wait: 400 })).rejects.toMatchObject({
    code: 'REDCACHE_ACQUIRE_TIMEOUT',
  });
  await expect(locks.tryAcquire('k')).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
  await expect(locks.isLocked('k')).rejects.toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
  await late;
  const waiting = locks.acquire('k');
  await redis.node.resume();
  // What the two who have gone were granted meanwhile is given back.
  expect((await waiting).remainingMs()).toBeGreaterThan(0);
});

test('scripts that the server has forgotten are sent again', async () => {
  await using redis = await startStandalone();
  const { locks } = await openLocks(redis.url);
  const lock = await locks.acquire('k');
  await redis.node.ask('SCRIPT', 'FLUSH');
  await lock.extend();
  await redis.node.ask('SCRIPT', 'FLUSH');
  expect(await lock.release()).toBe('released');
  await redis.node.ask('SCRIPT', 'FLUSH');
  expect(await locks.tryAcquire('k')).toMatchObject({ key: 'k' });
});

test('another type under the key of a lock is an error for those who want it', async () => {
  const { locks, client } = await openLocks(url);
  const key = freshKey('list');
  await client.rPush(inRedis(key), 'x');
  await expect(locks.acquire(key)).rejects.toMatchObject({ code: 'REDCACHE_CONFIG', key });
  await expect(locks.tryAcquire(key)).rejects.toMatchObject({ code: 'REDCACHE_CONFIG', key });
});

const ONE_HOLDS = {
  mutex: (locks: Locks, key: string, options?: AcquireOptions) => locks.acquire(key, options),
  semaphore: (locks: Locks, key: string, options?: AcquireOptions) =>
    locks.semaphore(key, 1).acquire(options),
};

test.for(
  (['mutex', 'semaphore'] as const).flatMap((kind) =>
    (['queue', 'alive'] as const).map((name) => ({ kind, name })),
  ),
)(
  'another type beside a $kind, in the key of its $name: who holds it can give it back',
  async ({ kind, name }) => {
    const acquire = ONE_HOLDS[kind];
    const key = freshKey('beside');
    const [one, two] = [await openLocks(url), await openLocks(url)];
    const lock = await acquire(one.locks, key, { lease: '60s' });
    const waiting = acquire(two.locks, key, { wait: '20s' });
    // It finds the lock free, or asks once more for its place.
    const ended = waiting.then((got) => got.release()).catch((error) => error.code);
    const tag = `{${inRedis(key)}}`;
    await eventually(async () => (await one.client.exists(`${tag}:queue`)) === 1);
    await one.client.set(`${tag}:${name}`, 'of somebody else');
    await lock.extend();
    // Whoever is to stand there is told so.
    const three = await openLocks(url);
    await expect(acquire(three.locks, key)).rejects.toMatchObject({ code: 'REDCACHE_CONFIG', key });
    expect(await lock.release()).toBe('released');
    expect(['released', 'REDCACHE_CONFIG']).toContain(await ended);
    expect(await one.client.exists(inRedis(key))).toBe(0);
    expect(await one.client.get(`${tag}:${name}`)).toBe('of somebody else');
  },
);

test('a client that its owner closes and connects again hears of releases as before', async () => {
  const key = freshKey('reopened');
  const woken = hear('redcache:lock:woken');
  const waits = hear('redcache:lock:waiting');
  const holder = await openLocks(url);
  const { locks, client } = await openLocks(url, { retry: { delay: '60s' } });
  await locks.isLocked(key);
  await client.close();
  await client.connect();
  await client.ping();
  await eventually(() => trackingOf(client).state === 'tracking');
  const lock = await holder.locks.acquire(key, { lease: '60s' });
  const waiting = locks.acquire(key);
  await eventually(() => waits.length === 1);
  await lock.release();
  await waiting;
  expect(woken.map(({ cause }) => cause)).toEqual(['push']);
});
