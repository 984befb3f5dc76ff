import { ManualClock, settled } from '@redcache/core/testing';
import { expect, test } from 'vitest';
import { Tally } from '../src/tally.ts';
import { openLocks, sentOf } from './support/lock-ground.ts';
import { ModelServer } from './support/model-server.ts';
import { pass } from './support/pass.ts';

test('what the locks have gone through is counted, by the clock', async () => {
  const { locks, clock, server } = await openLocks();
  const lock = await locks.acquire('k');
  const waiting = locks.acquire('k');
  await pass(clock, 1_500);
  expect(locks.stats()).toMatchObject({ held: 1, waiting: 1, acquired: 1, waited: 1 });
  await lock.release();
  const next = await waiting;
  server.flush();
  await settled();
  expect(next.signal.aborted).toBe(true);
  const { waitTime, holdTime, contention, ...counts } = locks.stats();
  expect(counts).toEqual({
    ...{ held: 0, waiting: 0, acquired: 2, waited: 1, handOffs: 1, extensions: 2 },
    lost: { expired: 0, deleted: 0, taken: 0, flushed: 1, disconnected: 0, closed: 0 },
  });
  expect(waitTime.count).toBe(2);
  expect(waitTime.max / 1_500).toBeCloseTo(1, 1);
  expect(holdTime.p99 / 1_500).toBeCloseTo(1, 1);
  expect([...contention]).toEqual([['k', 1]]);
  await locks.close();
  expect(locks.stats()).toMatchObject({ held: 0, waiting: 0 });
});

test('what was never counted is 0', () => {
  const { waitTime, holdTime } = new Tally().stats({ held: 0, waiting: 0 });
  const nothing = { count: 0, mean: 0, p50: 0, p95: 0, p99: 0, max: 0 };
  expect([waitTime, holdTime]).toEqual([nothing, nothing]);
});

test('the hundred keys that were waited for last are told apart', () => {
  const tally = new Tally();
  for (let i = 0; i < 100; i += 1) tally.waited(`k${i}`);
  tally.waited('k0');
  tally.waited('more');
  const { contention, waited } = tally.stats({ held: 0, waiting: 0 });
  expect(waited).toBe(102);
  expect(contention.size).toBe(100);
  expect(contention.get('k0')).toBe(2);
  expect(contention.has('k1')).toBe(false);
  expect(contention.get('more')).toBe(1);
});

test('times of any length are counted', () => {
  const tally = new Tally();
  for (const timeMs of [0, 0.000_4, 12, 86_400_000]) tally.ended(timeMs);
  const { holdTime } = tally.stats({ held: 0, waiting: 0 });
  expect(holdTime.count).toBe(4);
  // The longest that is told apart is an hour.
  expect(holdTime.max / 3_600_000).toBeCloseTo(1, 1);
});

test('a thousand who wait ask as often as one, which is once a lease', async () => {
  const server = new ModelServer(new ManualClock());
  const holder = await openLocks({}, server);
  await holder.locks.acquire('k', { lease: 10_000, autoExtend: false });
  const { locks, port } = await openLocks({}, server);
  const abort = new AbortController();
  const waiting = Array.from({ length: 1_000 }, () => {
    const acquiring = locks.acquire('k', { signal: abort.signal });
    acquiring.catch(() => {});
    return acquiring;
  });
  await settled();
  expect(sentOf(port)).toEqual(['acquire', 'join']);
  await pass(server.clock, 9_900, 100);
  expect(sentOf(port)).toEqual([]);
  abort.abort('gone');
  for (const each of waiting) await expect(each).rejects.toBe('gone');
});
