import { expect, test } from 'vitest';
import { contend } from '../src/contention.ts';
import type { Locker } from '../src/lockers/locker.ts';
import { nowMs } from '../src/now.ts';

/** A lock that everybody gets at once, and that takes a turn of the event loop to give back. */
function openLocker(answer: string): Locker & { readonly taken: () => number } {
  let taken = 0;
  return {
    taken: () => taken,
    acquire: async () => {
      taken += 1;
      return { release: () => new Promise((resolve) => setImmediate(resolve, answer)) };
    },
  };
}

test('only what is done within the time is counted, for each caller', async () => {
  const locker = openLocker('released');
  const fromMs = nowMs() + 200;
  const untilMs = fromMs + 250;
  const shares = await contend(locker, 'key', { callers: 2, fromMs, untilMs });
  expect(nowMs()).toBeGreaterThanOrEqual(untilMs);
  expect(shares).toHaveLength(2);
  const counted = shares.reduce((sum, share) => sum + share, 0);
  expect(counted).toBeGreaterThan(0);
  // Neither those before the beginning nor the last of each caller.
  expect(counted).toBeLessThan(locker.taken() - 2);
});

test('a time that is over counts nothing, and ends with the first round of each caller', async () => {
  const locker = openLocker('released');
  const shares = await contend(locker, 'key', { callers: 3, fromMs: 0, untilMs: 0 });
  expect(shares).toEqual([0, 0, 0]);
  expect(locker.taken()).toBe(3);
});

test('a lock that was lost while it was held ends the benchmark', async () => {
  const contention = { callers: 1, fromMs: 0, untilMs: 0 };
  await expect(contend(openLocker('lost'), 'key', contention)).rejects.toThrow('lost');
});
