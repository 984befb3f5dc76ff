// close() while some hold, many wait, and others elsewhere want the same locks.
import { describe, expect, inject, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import {
  aborted,
  freshKey,
  hear,
  inRedis,
  type OpenOptions,
  openClient,
  openLocks,
} from './ground.ts';

const url = inject('redis').standalone;

const HOURLY = { lease: '1h' } as const;
const WAITERS = 10;

const WAYS: readonly (readonly [way: string, options: OpenOptions])[] = [
  ['a client with a cache', { tracked: true }],
  ['a connection of its own', { tracked: false }],
  ['polling', { tracked: false, tracking: 'poll', retry: { delay: 5 } }],
];

describe.for(WAYS)('with %s', ([, options]) => {
  test('whoever holds and all who wait learn of it, and others need not wait for the lease', async () => {
    const key = freshKey('closed');
    const waits = hear('redcache:lock:waiting');
    const { locks } = await openLocks(url, options);
    const elsewhere = await openLocks(url, options);
    const lock = await locks.acquire(key, HOURLY);
    const loss = aborted(lock.signal);
    const all = Array.from({ length: WAITERS }, () => locks.acquire(key, HOURLY));
    const ended = Promise.allSettled(all);
    const next = elsewhere.locks.acquire(key, HOURLY);
    await eventually(() => waits.length === WAITERS + 1);
    await locks.close();
    for (const end of await ended)
      expect(end).toMatchObject({ status: 'rejected', reason: { code: 'REDCACHE_CLOSED' } });
    expect(await loss).toMatchObject({ code: 'REDCACHE_LOCK_LOST', reason: 'closed' });
    expect((await next).fencingToken).toBeGreaterThan(lock.fencingToken);
    expect(await lock.release()).toBe('lost');
    expect((await next).signal.aborted).toBe(false);
    const closed = { code: 'REDCACHE_CLOSED' };
    await expect(locks.acquire(key)).rejects.toMatchObject(closed);
    await expect(locks.tryAcquire(key)).rejects.toMatchObject(closed);
    await expect(locks.isLocked(key)).rejects.toMatchObject(closed);
    await expect(locks.withLock(key, () => 'ran')).rejects.toMatchObject(closed);
  });

  test('those who wait are gone, whoever holds the lock', async () => {
    const key = freshKey('waiting');
    const waits = hear('redcache:lock:waiting');
    const { locks } = await openLocks(url, options);
    const elsewhere = await openLocks(url, options);
    const observer = await openClient(url);
    const lock = await elsewhere.locks.acquire(key, HOURLY);
    const all = Array.from({ length: WAITERS }, () => locks.acquire(key, HOURLY));
    const ended = Promise.allSettled(all);
    await eventually(() => waits.length === WAITERS);
    await locks.close();
    for (const end of await ended)
      expect(end).toMatchObject({ status: 'rejected', reason: { code: 'REDCACHE_CLOSED' } });
    expect(lock.signal.aborted).toBe(false);
    expect(await lock.release()).toBe('released');
    // Nobody takes it, as one who was still there would.
    expect(await elsewhere.locks.tryAcquire(key)).toMatchObject({ key });
    expect(await observer.exists(inRedis(key))).toBe(1);
  });
});

test('the client of closed locks is left to its owner, who can make new ones', async () => {
  const key = freshKey('again');
  const { locks, client } = await openLocks(url);
  const lock = await locks.acquire(key, HOURLY);
  await locks.close();
  expect(await client.exists(inRedis(key))).toBe(0);
  const again = await openLocks(url);
  expect((await again.locks.acquire(key)).fencingToken).toBeGreaterThan(lock.fencingToken);
});
