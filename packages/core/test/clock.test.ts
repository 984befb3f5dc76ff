import { afterEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../src/clock.ts';

afterEach(() => {
  vi.useRealTimers();
});

const DAY_MS = 86_400_000;

describe('timers of the system clock', () => {
  test.for([1, 1_000, 2 ** 31 - 1, 2 ** 31, 40 * DAY_MS, 400 * DAY_MS])(
    'one of %d ms runs once, then, and not before',
    (delayMs) => {
      vi.useFakeTimers();
      const run = vi.fn();
      systemClock.setTimer(delayMs, run);
      vi.advanceTimersByTime(delayMs - 1);
      expect(run).not.toHaveBeenCalled();
      vi.advanceTimersByTime(1);
      expect(run).toHaveBeenCalledOnce();
      vi.advanceTimersByTime(delayMs);
      expect(run).toHaveBeenCalledOnce();
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  test('a long one that is cancelled in its second month never runs', () => {
    vi.useFakeTimers();
    const run = vi.fn();
    const timer = systemClock.setTimer(100 * DAY_MS, run);
    vi.advanceTimersByTime(40 * DAY_MS);
    timer.cancel();
    timer.cancel();
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(100 * DAY_MS);
    expect(run).not.toHaveBeenCalled();
  });

  test('one that has run may be cancelled', () => {
    vi.useFakeTimers();
    const timer = systemClock.setTimer(5, () => {});
    vi.advanceTimersByTime(5);
    expect(() => timer.cancel()).not.toThrow();
  });

  test.for([0, -5])('a delay of %d runs, but not within the call', (delayMs) => {
    vi.useFakeTimers();
    const run = vi.fn();
    systemClock.setTimer(delayMs, run);
    expect(run).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(run).toHaveBeenCalledOnce();
  });

  test('set in a turn of the loop that took long, one is not early by the time that took', async () => {
    const startedAtMs = systemClock.nowMs();
    while (systemClock.nowMs() < startedAtMs + 60);
    const setAtMs = systemClock.nowMs();
    const ranAtMs = await new Promise<number>((resolve) => {
      systemClock.setTimer(40.4, () => resolve(systemClock.nowMs()));
    });
    expect(ranAtMs).toBeGreaterThanOrEqual(setAtMs + 40.4);
  });
});

test('the system clock does not follow the wall clock', () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  const beforeMs = systemClock.nowMs();
  vi.setSystemTime(0);
  expect(systemClock.nowMs()).toBeGreaterThanOrEqual(beforeMs);
});
