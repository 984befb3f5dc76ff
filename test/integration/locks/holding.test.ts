// How long a lock is held, and for whom: leases, extensions, and what a former holder can still do.
import { setImmediate } from 'node:timers/promises';
import { expect, inject, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { extensions, freshKey, hear, inRedis, openClient, openLocks } from './ground.ts';

const url = inject('redis').standalone;

const HOURLY = { lease: '1h' } as const;
const HOUR_MS = 3_600_000;
const BRIEF = { lease: 100, autoExtend: false } as const;

test('the key of a lock lives as long as the lease, as an extension says from then on, and until the release', async () => {
  const key = freshKey('lease');
  const { locks, client } = await openLocks(url);
  const lock = await locks.acquire(key, HOURLY);
  expect(await client.pTTL(inRedis(key))).toBeLessThanOrEqual(HOUR_MS);
  expect(await client.pTTL(inRedis(key))).toBeGreaterThan(HOUR_MS / 2);
  await lock.extend('3h');
  expect(await client.pTTL(inRedis(key))).toBeLessThanOrEqual(3 * HOUR_MS);
  expect(await client.pTTL(inRedis(key))).toBeGreaterThan(2 * HOUR_MS);
  await lock.extend('2h');
  expect(await client.pTTL(inRedis(key))).toBeLessThanOrEqual(2 * HOUR_MS);
  expect(await locks.isLocked(key)).toBe(true);
  expect(await lock.release()).toBe('released');
  expect(await client.exists(inRedis(key))).toBe(0);
  expect(await locks.isLocked(key)).toBe(false);
});

test('an extension without a length starts the lease anew', async () => {
  const key = freshKey('anew');
  const { locks, client } = await openLocks(url);
  const lock = await locks.acquire(key, { ...HOURLY, autoExtend: false });
  await eventually(async () => {
    const before = await client.pTTL(inRedis(key));
    await lock.extend();
    return (await client.pTTL(inRedis(key))) > before;
  });
  expect(lock.signal.aborted).toBe(false);
});

test.for(['the same process', 'another process'] as const)(
  'whoever waits in %s is let in by the release and not before, however long the holder goes on',
  async (where) => {
    const key = freshKey('patient');
    const waits = hear('redcache:lock:waiting');
    const one = await openLocks(url);
    const two = where === 'the same process' ? one : await openLocks(url);
    const lock = await one.locks.acquire(key, { lease: 400 });
    let granted = false;
    const waiting = two.locks.acquire(key, HOURLY).then((next) => {
      granted = true;
      return next;
    });
    await eventually(() => waits.length === 1);
    // Three leases.
    await extensions(lock, 9);
    expect(granted).toBe(false);
    expect(lock.signal.aborted).toBe(false);
    expect(await lock.release()).toBe('released');
    expect((await waiting).fencingToken).toBeGreaterThan(lock.fencingToken);
  },
);

test('two bodies that take longer than their lease are never inside together', async () => {
  const key = freshKey('long');
  const [one, two] = await Promise.all([openLocks(url), openLocks(url)]);
  let inside = 0;
  const body = async (lock: Parameters<typeof extensions>[0]): Promise<string> => {
    inside += 1;
    await extensions(lock, 5);
    expect(inside).toBe(1);
    inside -= 1;
    expect(lock.signal.aborted).toBe(false);
    return lock.holder;
  };
  const lease = { lease: 400 };
  const holders = await Promise.all([
    one.locks.withLock(key, lease, body),
    two.locks.withLock(key, lease, body),
  ]);
  expect(holders[0]).not.toBe(holders[1]);
  expect(await one.client.exists(inRedis(key))).toBe(0);
});

test('a lease that nobody extends ends, and its holder can neither extend it nor bring it back', async () => {
  const key = freshKey('over');
  const { locks, client } = await openLocks(url);
  const lock = await locks.acquire(key, BRIEF);
  await eventually(async () => (await client.exists(inRedis(key))) === 0);
  expect(lock.signal.aborted).toBe(true);
  await expect(lock.extend()).rejects.toMatchObject({ code: 'REDCACHE_LOCK_LOST' });
  expect(await lock.release()).toBe('lost');
  expect(await client.exists(inRedis(key))).toBe(0);
});

test('a former holder whose lock another has can neither extend nor release it', async () => {
  const key = freshKey('former');
  const [one, two] = await Promise.all([openLocks(url), openLocks(url)]);
  const lock = await one.locks.acquire(key, BRIEF);
  const next = await two.locks.acquire(key, HOURLY);
  const pttl = await two.client.pTTL(inRedis(key));
  await expect(lock.extend('3h')).rejects.toMatchObject({ code: 'REDCACHE_LOCK_LOST' });
  expect(await two.client.pTTL(inRedis(key))).toBeLessThanOrEqual(pttl);
  expect(await lock.release()).toBe('lost');
  await next.extend();
  expect(next.signal.aborted).toBe(false);
  expect(await one.locks.tryAcquire(key)).toBe(null);
});

test('a release during an extension is no loss', async () => {
  const key = freshKey('release while extending');
  const losses = hear('redcache:lock:lost');
  const { locks, client } = await openLocks(url);
  for (let round = 0; round < 50; round += 1) {
    const lock = await locks.acquire(key, HOURLY);
    const extending = lock.extend('2h').catch((error: unknown) => error);
    if (round % 2 === 0) await setImmediate();
    expect(await lock.release()).toBe('released');
    await extending;
    expect(lock.signal.aborted).toBe(false);
    expect(await client.exists(inRedis(key))).toBe(0);
  }
  expect(losses.filter((loss) => loss.key === key)).toEqual([]);
});

test('nobody waits for the lock of another key', async () => {
  const { locks } = await openLocks(url);
  const [a, b] = [freshKey('a'), freshKey('b')];
  const waits = hear('redcache:lock:waiting');
  const first = await locks.acquire(a, HOURLY);
  const waiting = locks.acquire(a, HOURLY);
  await eventually(() => waits.length === 1);
  const other = await locks.acquire(b, HOURLY);
  expect(await other.release()).toBe('released');
  expect(waits).toHaveLength(1);
  expect(await first.release()).toBe('released');
  await waiting;
});

test('a lock can be had and given back over and over, each time by a new holder', async () => {
  const key = freshKey('again');
  const { locks } = await openLocks(url);
  const observer = await openClient(url);
  const holders = new Set<string>();
  for (let times = 0; times < 50; times += 1) {
    await using lock = await locks.acquire(key, HOURLY);
    holders.add(`${lock.holder} ${lock.fencingToken}`);
    expect(await observer.exists(inRedis(key))).toBe(1);
  }
  expect(holders.size).toBe(50);
  expect(await observer.exists(inRedis(key))).toBe(0);
});
