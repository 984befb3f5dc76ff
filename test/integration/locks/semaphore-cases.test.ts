// A semaphore: as many holders as there are permits, each with a lock of its own.
import { setImmediate } from 'node:timers/promises';
import type { Lock, Locks } from '@redcache/locks';
import { describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { ShiftedClock } from '../../support/shifted-clock.ts';
import { aborted, extensions, freshKey, hear, type OpenOptions, openLocks } from './ground.ts';

const url = inject('redis').standalone;

const HOURLY = { lease: '1h' } as const;
const BRIEF = { lease: 200, autoExtend: false } as const;

const WAYS: readonly (readonly [way: string, options: OpenOptions])[] = [
  ['a client with a cache', { tracked: true }],
  ['a connection of its own', { tracked: false }],
  ['polling', { tracked: false, tracking: 'poll', retry: { delay: 2 } }],
];

/** All permits of a semaphore, held by one. */
async function drain(locks: Locks, key: string, permits: number): Promise<Lock[]> {
  const semaphore = locks.semaphore(key, permits);
  return Promise.all(Array.from({ length: permits }, () => semaphore.acquire(HOURLY)));
}

describe.for(WAYS)('with %s', ([, options]) => {
  test('never more hold it than there are permits, and all of them are used', async () => {
    const key = freshKey('permits');
    const all = await Promise.all(Array.from({ length: 5 }, () => openLocks(url, options)));
    let inside = 0;
    let most = 0;
    await Promise.all(
      all.flatMap(({ locks }) =>
        Array.from({ length: 8 }, async () => {
          const semaphore = locks.semaphore(key, 3);
          for (let turn = 0; turn < 3; turn += 1)
            await semaphore.withLock(HOURLY, async () => {
              inside += 1;
              most = Math.max(most, inside);
              for (let i = 0; i < 20; i += 1) await setImmediate();
              expect(inside).toBeLessThanOrEqual(3);
              inside -= 1;
            });
        }),
      ),
    );
    expect(most).toBe(3);
  });

  test('whoever comes when none is left is refused, waits, or gives up; a release lets one in', async () => {
    const key = freshKey('none left');
    const waits = hear('redcache:lock:waiting');
    const [one, two] = await Promise.all([openLocks(url, options), openLocks(url, options)]);
    const held = await drain(one.locks, key, 2);
    const semaphore = two.locks.semaphore(key, 2);
    expect(await semaphore.tryAcquire()).toBe(null);
    await expect(semaphore.acquire({ wait: 50 })).rejects.toMatchObject({
      code: 'REDCACHE_ACQUIRE_TIMEOUT',
    });
    const controller = new AbortController();
    const gone = expect(semaphore.acquire({ signal: controller.signal })).rejects.toBe('gone');
    const waiting = semaphore.acquire(HOURLY);
    await eventually(() => waits.length >= 2);
    controller.abort('gone');
    await gone;
    expect(await held[0]?.release()).toBe('released');
    const next = await waiting;
    expect(next.signal.aborted).toBe(false);
    expect(held[1]?.signal.aborted).toBe(false);
    expect(await semaphore.tryAcquire()).toBe(null);
  });
});

test('each holder has a lock of its own, under a token of its own', async () => {
  const key = freshKey('own');
  const { locks } = await openLocks(url);
  const held = await drain(locks, key, 5);
  expect(new Set(held.map(({ fencingToken }) => fencingToken)).size).toBe(5);
  for (const lock of held) {
    expect(lock.remainingMs()).toBeGreaterThan(0);
    await lock.extend('3h');
    expect(lock.remainingMs()).toBeGreaterThan(2 * 3_600_000);
  }
  for (const lock of held) {
    expect(await lock.release()).toBe('released');
    expect(await lock.release()).toBe('released');
  }
  // A release that is repeated frees no permit of anybody else.
  const again = await drain(locks, key, 5);
  for (const lock of held) await lock.release();
  expect(await locks.semaphore(key, 5).tryAcquire()).toBe(null);
  for (const lock of again) expect(lock.signal.aborted).toBe(false);
});

test('permits are extended for as long as they are held', async () => {
  const key = freshKey('extended');
  const [one, two] = await Promise.all([openLocks(url), openLocks(url)]);
  const held = await Promise.all(
    [one, one].map(({ locks }) => locks.semaphore(key, 2).acquire({ lease: 400 })),
  );
  await Promise.all(held.map((lock) => extensions(lock, 9)));
  expect(await two.locks.semaphore(key, 2).tryAcquire()).toBe(null);
  for (const lock of held) expect(lock.signal.aborted).toBe(false);
});

test('a holder that is heard of no more gives back its own permit at the end of its lease, and no other', async () => {
  const key = freshKey('crashed');
  const [one, two] = await Promise.all([openLocks(url), openLocks(url)]);
  const kept = await one.locks.semaphore(key, 2).acquire(HOURLY);
  const left = await one.locks.semaphore(key, 2).acquire(BRIEF);
  const semaphore = two.locks.semaphore(key, 2);
  const next = await semaphore.acquire(HOURLY);
  expect(left.signal.aborted).toBe(true);
  expect(await left.release()).toBe('lost');
  await expect(left.extend()).rejects.toMatchObject({ code: 'REDCACHE_LOCK_LOST' });
  expect(await semaphore.tryAcquire()).toBe(null);
  await kept.extend();
  expect(kept.signal.aborted).toBe(false);
  expect(next.signal.aborted).toBe(false);
});

test('all holders hear of a flush, and all permits are free again', async () => {
  await using redis = await startStandalone();
  const [one, two] = await Promise.all([openLocks(redis.url), openLocks(redis.url)]);
  const held = await drain(one.locks, 'k', 3);
  const losses = Promise.all(held.map(({ signal }) => aborted(signal)));
  await redis.node.ask('FLUSHALL');
  for (const loss of await losses)
    expect(loss).toMatchObject({ reason: expect.stringMatching(/flushed|deleted/) });
  const next = await drain(two.locks, 'k', 3);
  const last = held.map(({ fencingToken }) => fencingToken);
  for (const { fencingToken } of next)
    for (const token of last) expect(fencingToken).toBeGreaterThan(token);
});

test('all holders learn after the restart of the server that their permits are gone', async () => {
  await using redis = await startStandalone();
  const [one, two] = await Promise.all([openLocks(redis.url), openLocks(redis.url)]);
  const held = await drain(one.locks, 'k', 2);
  const losses = Promise.all(held.map(({ signal }) => aborted(signal)));
  await redis.node.restart();
  for (const loss of await losses) expect(loss).toMatchObject({ code: 'REDCACHE_LOCK_LOST' });
  await eventually(async () => (await drain(two.locks, 'k', 2)).length === 2);
  for (const lock of held) expect(await lock.release()).toBe('lost');
});

describe.for([5_000, -5_000])('with a clock that is off by %i ms', (offsetMs) => {
  test('a process takes no permit from another', async () => {
    const key = freshKey('own clock');
    const [one, two] = await Promise.all([openLocks(url), openLocks(url)]);
    onTestFinished(() => void vi.useRealTimers());
    const held = await Promise.all(
      [1, 2].map(() => one.locks.semaphore(key, 2).acquire({ lease: '2s' })),
    );
    vi.setSystemTime(Date.now() + offsetMs);
    expect(await two.locks.semaphore(key, 2).tryAcquire({ lease: '2s' })).toBe(null);
    await Promise.all(held.map((lock) => extensions(lock, 1)));
    expect(await two.locks.semaphore(key, 2).tryAcquire({ lease: '2s' })).toBe(null);
    for (const lock of held) expect(lock.signal.aborted).toBe(false);
  });

  test('a server counts and frees permits as ever', async () => {
    await using redis = await startStandalone();
    await using clock = await ShiftedClock.start(redis.node, offsetMs);
    const [one, two] = await Promise.all([openLocks(clock.url), openLocks(clock.url)]);
    const kept = await one.locks.semaphore('k', 2).acquire({ lease: 450 });
    await one.locks.semaphore('k', 2).acquire(BRIEF);
    const next = await two.locks.semaphore('k', 2).acquire(HOURLY);
    await extensions(kept, 3);
    expect(kept.signal.aborted).toBe(false);
    expect(await two.locks.semaphore('k', 2).tryAcquire()).toBe(null);
    expect(await next.release()).toBe('released');
  });
});

test('close() gives back all permits that are held, and rejects those who wait', async () => {
  const key = freshKey('closed');
  const waits = hear('redcache:lock:waiting');
  const [one, two] = await Promise.all([openLocks(url), openLocks(url)]);
  const held = await drain(one.locks, key, 2);
  const waiting = expect(one.locks.semaphore(key, 2).acquire()).rejects.toMatchObject({
    code: 'REDCACHE_CLOSED',
  });
  await eventually(() => waits.length > 0);
  await one.locks.close();
  await waiting;
  for (const { signal } of held) expect(signal.reason).toMatchObject({ reason: 'closed' });
  expect(await drain(two.locks, key, 2)).toHaveLength(2);
});

test.for([0, -1, 1.5, Number.NaN, Infinity, '2' as unknown as number])(
  'there is no semaphore with %s permits',
  async (permits) => {
    const { locks } = await openLocks(url);
    expect(() => locks.semaphore(freshKey('bad'), permits)).toThrow(
      expect.objectContaining({ code: 'REDCACHE_CONFIG' }),
    );
  },
);

test('nobody waits for the permits of another key', async () => {
  const { locks } = await openLocks(url);
  await drain(locks, freshKey('a'), 1);
  expect(await locks.semaphore(freshKey('b'), 1).tryAcquire()).not.toBe(null);
});
