// Several keys as one lock: all of them or none, whatever order callers name them in.
import { setImmediate } from 'node:timers/promises';
import { expect, inject, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { aborted, freshKey, hear, inRedis, openClient, openLocks } from './ground.ts';

const url = inject('redis').standalone;

const HOURLY = { lease: '1h' } as const;
const HOUR_MS = 3_600_000;

const freshKeys = <const N extends readonly string[]>(...names: N) =>
  names.map((name) => freshKey(name)) as { [K in keyof N]: string };

test('all keys are held as long as the lease, extended together and given back together', async () => {
  const keys = freshKeys('a', 'b');
  const { locks, client } = await openLocks(url);
  const remaining = (): Promise<number[]> =>
    Promise.all(keys.map((key) => client.pTTL(inRedis(key))));
  const lock = await locks.acquireMany(keys, HOURLY);
  expect(new Set(lock.keys)).toEqual(new Set(keys));
  expect(lock.locks).toHaveLength(2);
  for (const pttl of await remaining()) {
    expect(pttl).toBeLessThanOrEqual(HOUR_MS);
    expect(pttl).toBeGreaterThan(HOUR_MS / 2);
  }
  expect(lock.remainingMs()).toBeGreaterThan(0);
  await lock.extend('3h');
  for (const pttl of await remaining()) expect(pttl).toBeGreaterThan(2 * HOUR_MS);
  for (const key of keys) expect(await locks.tryAcquire(key)).toBe(null);
  expect(await lock.release()).toBe('released');
  expect(await remaining()).toEqual([-2, -2]);
});

test('sets of keys that overlap exclude each other, and who is refused leaves nothing behind', async () => {
  const [a, b, c] = freshKeys('a', 'b', 'c');
  const [one, two] = await Promise.all([openLocks(url), openLocks(url)]);
  const lock = await one.locks.acquireMany([a, b], HOURLY);
  // Whoever waits is marked by a '+' at the end.
  const holders = async (): Promise<unknown> =>
    (await one.client.mGet([a, b].map(inRedis))).map((value) => value?.replace('+', ''));
  const values = await holders();
  for (const { locks } of [one, two]) {
    await expect(locks.acquireMany([b, c], { ...HOURLY, wait: 50 })).rejects.toMatchObject({
      code: 'REDCACHE_ACQUIRE_TIMEOUT',
    });
    // In the other order as well.
    await expect(locks.acquireMany([c, b], { ...HOURLY, wait: 50 })).rejects.toMatchObject({
      code: 'REDCACHE_ACQUIRE_TIMEOUT',
    });
  }
  expect(await holders()).toEqual(values);
  await eventually(async () => !(await two.locks.isLocked(c)));
  expect(lock.signal.aborted).toBe(false);
  expect(await lock.release()).toBe('released');
  expect(await one.client.exists([a, b, c].map(inRedis))).toBe(0);
});

test('whoever waits for one of several keys has all of them when that one is given back', async () => {
  const [a, b] = freshKeys('a', 'b');
  const waits = hear('redcache:lock:waiting');
  const [one, two] = await Promise.all([openLocks(url), openLocks(url)]);
  const lock = await one.locks.acquire(b, HOURLY);
  const waiting = two.locks.acquireMany([a, b], HOURLY);
  await eventually(() => waits.length > 0);
  expect(await lock.release()).toBe('released');
  const both = await waiting;
  expect(await one.locks.tryAcquire(a)).toBe(null);
  expect(await one.locks.tryAcquire(b)).toBe(null);
  expect(await both.release()).toBe('released');
});

test('callers who name the same keys in any order never block each other for ever', async () => {
  const keys = freshKeys('a', 'b', 'c');
  const [a, b, c] = keys;
  const all = await Promise.all(Array.from({ length: 4 }, () => openLocks(url)));
  const inside = new Map(keys.map((key) => [key, 0]));
  const orders = [
    [a, b],
    [b, a],
    [b, c],
    [c, b],
    [c, a],
    [a, c],
    [a, b, c],
    [c, b, a],
  ];
  await Promise.all(
    all.flatMap(({ locks }) =>
      orders.map(async (order) => {
        for (let times = 0; times < 5; times += 1) {
          await using lock = await locks.acquireMany(order, HOURLY);
          for (const key of order) inside.set(key, (inside.get(key) ?? 0) + 1);
          await setImmediate();
          for (const key of order) expect(inside.get(key)).toBe(1);
          expect(lock.signal.aborted).toBe(false);
          for (const key of order) inside.set(key, 0);
        }
      }),
    ),
  );
  for (const key of keys) expect(await all[0]?.locks.isLocked(key)).toBe(false);
});

test('when one of the keys is lost all of it is, and the others are given back', async () => {
  const [a, b] = freshKeys('a', 'b');
  const { locks } = await openLocks(url);
  const observer = await openClient(url);
  const lock = await locks.acquireMany([a, b], HOURLY);
  const loss = aborted(lock.signal);
  await observer.del(inRedis(b));
  expect(await loss).toMatchObject({ code: 'REDCACHE_LOCK_LOST', reason: 'deleted' });
  expect(lock.remainingMs()).toBe(0);
  await expect(lock.extend()).rejects.toMatchObject({ code: 'REDCACHE_LOCK_LOST' });
  expect(await lock.release()).toBe('lost');
  expect(await observer.exists([a, b].map(inRedis))).toBe(0);
});

test('whoever goes while waiting for one key holds none of the others', async () => {
  const [a, b] = freshKeys('a', 'b');
  const waits = hear('redcache:lock:waiting');
  const [one, two] = await Promise.all([openLocks(url), openLocks(url)]);
  const lock = await one.locks.acquire(b, HOURLY);
  const controller = new AbortController();
  const waiting = two.locks.acquireMany([a, b], { ...HOURLY, signal: controller.signal });
  const gone = expect(waiting).rejects.toBe('gone');
  await eventually(() => waits.length > 0);
  controller.abort('gone');
  await gone;
  await eventually(async () => !(await one.locks.isLocked(a)));
  expect(await lock.release()).toBe('released');
  expect(await two.locks.isLocked(b)).toBe(false);
});

test('close() gives back all keys', async () => {
  const keys = freshKeys('a', 'b');
  const { locks } = await openLocks(url);
  const observer = await openClient(url);
  const lock = await locks.acquireMany(keys, HOURLY);
  await locks.close();
  expect(lock.signal.reason).toMatchObject({ reason: 'closed' });
  expect(await observer.exists(keys.map(inRedis))).toBe(0);
});
