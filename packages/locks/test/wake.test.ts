import { ManualClock } from '@redcache/core/testing';
import { expect, test } from 'vitest';
import { Wake } from '../src/wake.ts';

const timeout = { afterMs: 10, cause: 'timer' };

test('what happens while awake ends the next sleep at once, and only that one', async () => {
  const clock = new ManualClock();
  const wake = new Wake<string>(clock);
  wake.wake('push');
  wake.wake('flush');
  expect(await wake.sleep(timeout)).toBe('push');
  const next = wake.sleep(timeout);
  clock.advance(10);
  expect(await next).toBe('timer');
});

test('what was looked at does not end the next sleep', async () => {
  const clock = new ManualClock();
  const wake = new Wake<string>(clock);
  wake.wake('push');
  wake.forget();
  const sleep = wake.sleep(timeout);
  clock.advance(10);
  expect(await sleep).toBe('timer');
});

test('whoever is woken leaves no timer', async () => {
  const clock = new ManualClock();
  const wake = new Wake<string>(clock);
  const sleep = wake.sleep(timeout);
  wake.wake('push');
  expect(await sleep).toBe('push');
  expect(clock.timers).toBe(0);
});

test('a sleep that is given up leaves no timer', () => {
  const clock = new ManualClock();
  const wake = new Wake<string>(clock);
  void wake.sleep(timeout);
  wake.end();
  expect(clock.timers).toBe(0);
});
