// Taking a lock over by force: whoever had it is told, and can undo nothing.
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { TcpProxy } from '../../support/proxy.ts';
import { aborted, freshKey, hear, inRedis, type OpenOptions, openLocks } from './ground.ts';

const url = inject('redis').standalone;

const HOURLY = { lease: '1h' } as const;

/** How a holder hears that its lock was taken; where it asks now and then, when it extends. */
const WAYS: readonly (readonly [way: string, options: OpenOptions])[] = [
  ['a client with a cache', { tracked: true }],
  ['a client without', { tracked: false, lease: 300 }],
  ['polling', { tracked: false, tracking: 'poll', lease: 300 }],
];

describe.for(WAYS)('with %s', ([, options]) => {
  describe.for(['acquire', 'forceAcquire'] as const)('a lock that was had by %s', (had) => {
    test.for(['the same process', 'another process'] as const)(
      'is taken over by %s',
      async (who) => {
        const key = freshKey('forced');
        const one = await openLocks(url, { lease: '1h', ...options });
        const two = who === 'the same process' ? one : await openLocks(url, options);
        const lock = await one.locks[had](key);
        const loss = aborted(lock.signal);
        const next = await two.locks.forceAcquire(key, HOURLY);
        expect(await loss).toMatchObject({ code: 'REDCACHE_LOCK_LOST', reason: 'taken' });
        expect(lock.remainingMs()).toBe(0);
        expect(next.fencingToken).toBeGreaterThan(lock.fencingToken);
        await expect(lock.extend()).rejects.toMatchObject({ reason: 'taken' });
        expect(await lock.release()).toBe('lost');
        await next.extend();
        expect(next.signal.aborted).toBe(false);
        expect(await one.locks.tryAcquire(key)).toBe(null);
        expect(await next.release()).toBe('released');
        expect(await one.locks.isLocked(key)).toBe(false);
      },
    );
  });

  test('a lock that nobody had is taken as any other', async () => {
    const key = freshKey('free');
    const { locks, client } = await openLocks(url, options);
    const lock = await locks.forceAcquire(key, HOURLY);
    expect(await locks.tryAcquire(key)).toBe(null);
    expect(await lock.release()).toBe('released');
    expect(await client.exists(inRedis(key))).toBe(0);
  });

  test('those who wait wait on, and have it in turn when it is given back', async () => {
    const key = freshKey('waiting');
    const waits = hear('redcache:lock:waiting');
    const one = await openLocks(url, { ...options, retry: { delay: 5 } });
    const two = await openLocks(url, { ...options, retry: { delay: 5 } });
    const lock = await one.locks.acquire(key, HOURLY);
    const granted: bigint[] = [];
    const waiting = [one.locks, two.locks].map((locks) =>
      locks.withLock(key, HOURLY, ({ fencingToken }) => granted.push(fencingToken)),
    );
    await eventually(() => waits.length === 2);
    const forced = await two.locks.forceAcquire(key, HOURLY);
    // They have been told of the change, and have been refused again.
    await one.locks.isLocked(key);
    await two.locks.isLocked(key);
    expect(granted).toEqual([]);
    expect(await lock.release()).toBe('lost');
    await one.locks.isLocked(key);
    expect(granted).toEqual([]);
    expect(await forced.release()).toBe('released');
    await Promise.all(waiting);
    expect(granted).toHaveLength(2);
    for (const token of granted) expect(token).toBeGreaterThan(forced.fencingToken);
  });
});

test('a body whose lock is taken over is told so, though it ended well', async () => {
  const key = freshKey('body');
  const [one, two] = await Promise.all([openLocks(url), openLocks(url)]);
  const running = one.locks.withLock(key, HOURLY, async ({ signal }) => {
    await two.locks.forceAcquire(key, HOURLY);
    await aborted(signal);
    return 'ended well';
  });
  await expect(running).rejects.toMatchObject({ code: 'REDCACHE_LOCK_LOST', reason: 'taken' });
  expect(await one.locks.isLocked(key)).toBe(true);
});

test('those who take it over from each other have rising tokens, and the last one keeps it', async () => {
  const key = freshKey('many');
  const all = await Promise.all(Array.from({ length: 5 }, () => openLocks(url)));
  const taken = await Promise.all(
    all.flatMap(({ locks }) => Array.from({ length: 4 }, () => locks.forceAcquire(key, HOURLY))),
  );
  const inOrder = taken.toSorted((a, b) => (a.fencingToken < b.fencingToken ? -1 : 1));
  const last = inOrder.pop();
  expect(new Set(taken.map(({ fencingToken }) => fencingToken)).size).toBe(taken.length);
  for (const { signal } of inOrder)
    expect(await aborted(signal)).toMatchObject({ reason: 'taken' });
  await last?.extend();
  expect(last?.signal.aborted).toBe(false);
  for (const lock of inOrder) expect(await lock.release()).toBe('lost');
  expect(await last?.release()).toBe('released');
});

test('what a former holder has sent before comes late and undoes nothing', async () => {
  const redis = await startStandalone();
  onTestFinished(() => redis.stop());
  const proxy = await TcpProxy.start(redis.node);
  onTestFinished(() => proxy.close());
  const { locks: near } = await openLocks(redis.url);
  const { locks: far } = await openLocks(proxy.url);
  await near.withLock('first', (lock) => lock.extend());
  const lock = await far.acquire('k', HOURLY);
  const { forwarded } = proxy.bytes('toServer');
  proxy.stall('toServer');
  const late = Promise.allSettled([lock.extend(), lock.release()]);
  await eventually(() => proxy.bytes('toServer').received > forwarded);
  const next = await near.forceAcquire('k', HOURLY);
  proxy.resume();
  await late;
  await eventually(() => far.isLocked('k'));
  await next.extend();
  expect(next.signal.aborted).toBe(false);
  expect(await far.tryAcquire('k')).toBe(null);
});

test('a signal that is aborted already has forceAcquire reject and take nothing', async () => {
  const key = freshKey('aborted');
  const { locks } = await openLocks(url);
  const lock = await locks.acquire(key, HOURLY);
  await expect(locks.forceAcquire(key, { signal: AbortSignal.abort('before') })).rejects.toBe(
    'before',
  );
  await lock.extend();
  expect(lock.signal.aborted).toBe(false);
});
