// Callers who go: a hundred at once, while the lock is released and its key touched by strangers.
import { describe, expect, inject, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { freshKey, hear, inRedis, type OpenOptions, openClient, openLocks } from './ground.ts';

const url = inject('redis').standalone;

const HOURLY = { lease: '1h' } as const;
const ROUNDS = 100;
const WAITERS = 100;

/** How those who wait are woken. */
const WAYS: readonly (readonly [way: string, options: OpenOptions])[] = [
  ['a client with a cache', { tracked: true }],
  ['a connection of its own', { tracked: false }],
  ['polling', { tracked: false, tracking: 'poll', retry: { delay: 1 } }],
];

describe.for(WAYS)('with %s', ([, options]) => {
  test('a hundred rounds of a hundred who wait are cancelled together with a stray wake', async () => {
    const key = freshKey('cancelled');
    const { locks } = await openLocks(url, options);
    const stranger = await openClient(url);
    for (let round = 0; round < ROUNDS; round += 1) {
      const controller = new AbortController();
      const { signal } = controller;
      // An hour, which nobody could wait for, if one who has gone still had it.
      const lock = await locks.acquire(key, HOURLY);
      const all = Array.from({ length: WAITERS }, () => locks.acquire(key, { ...HOURLY, signal }));
      const ended = Promise.allSettled(all);
      // In one round those who go are the first to know, in others the stray wake or the release comes first.
      const steps = [
        () => controller.abort('all'),
        () => stranger.pExpire(inRedis(key), 1_800_000),
        () => lock.release(),
      ];
      const first = round % steps.length;
      if (round % 2 === 0) await locks.isLocked(key);
      await Promise.all([...steps.slice(first), ...steps.slice(0, first)].map((step) => step()));
      for (const end of await ended) {
        // A release that comes before the abort may have given the lock to one of them.
        if (end.status === 'fulfilled') expect(await end.value.release()).toBe('released');
        else expect(end.reason).toBe('all');
      }
    }
    const last = await locks.acquire(key, HOURLY);
    expect(await last.release()).toBe('released');
    expect(await stranger.exists(inRedis(key))).toBe(0);
  });

  test('those who go together all hear why, if the lock is not released', async () => {
    const key = freshKey('all');
    const { locks } = await openLocks(url, options);
    const stranger = await openClient(url);
    const lock = await locks.acquire(key, HOURLY);
    const controller = new AbortController();
    const { signal } = controller;
    const all = Array.from({ length: WAITERS }, () => locks.acquire(key, { signal }));
    const ended = Promise.allSettled(all);
    await locks.isLocked(key);
    await Promise.all([stranger.pExpire(inRedis(key), 1_800_000), controller.abort('all')]);
    for (const end of await ended) expect(end).toEqual({ status: 'rejected', reason: 'all' });
    expect(lock.signal.aborted).toBe(false);
    expect(await lock.release()).toBe('released');
  });
});

test('a process whose first in the queue goes is served all the same, and others are as well', async () => {
  const key = freshKey('first');
  const waits = hear('redcache:lock:waiting');
  const [holder, one, two] = await Promise.all([openLocks(url), openLocks(url), openLocks(url)]);
  const lock = await holder.locks.acquire(key, HOURLY);
  const controller = new AbortController();
  const gone = expect(
    one.locks.acquire(key, { ...HOURLY, signal: controller.signal }),
  ).rejects.toBe('gone');
  const others = [one.locks, one.locks, two.locks].map((locks) =>
    locks.withLock(key, HOURLY, ({ fencingToken }) => fencingToken),
  );
  await eventually(() => waits.length === 4);
  controller.abort('gone');
  await gone;
  expect(await lock.release()).toBe('released');
  const tokens = await Promise.all(others);
  expect(new Set(tokens).size).toBe(3);
  for (const token of tokens) expect(token).toBeGreaterThan(lock.fencingToken);
});

test.for(['acquire', 'tryAcquire', 'withLock'] as const)(
  'a signal that is aborted already has %s reject and take nothing',
  async (call) => {
    const key = freshKey('aborted');
    const { locks, client } = await openLocks(url);
    const signal = AbortSignal.abort('before');
    const calling =
      call === 'withLock'
        ? locks.withLock(key, { signal }, () => 'ran')
        : locks[call](key, { signal });
    await expect(calling).rejects.toBe('before');
    expect(await client.exists(inRedis(key))).toBe(0);
  },
);

test('the signal of a caller is for its waiting: once it has the lock its abort takes nothing', async () => {
  const key = freshKey('held');
  const { locks } = await openLocks(url);
  const controller = new AbortController();
  const lock = await locks.acquire(key, { ...HOURLY, signal: controller.signal });
  controller.abort('later');
  await lock.extend();
  expect(lock.signal.aborted).toBe(false);
  // Who wants both to end the work asks for either.
  expect(AbortSignal.any([controller.signal, lock.signal]).reason).toBe('later');
  expect(await lock.release()).toBe('released');
});
