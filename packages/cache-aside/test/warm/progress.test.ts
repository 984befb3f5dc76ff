import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { ManualClock } from '@redcache/core/testing';
import { expect, onTestFinished, test } from 'vitest';
import { type OnProgress, Report, type WarmProgress } from '../../src/warm/progress.ts';
import { Rate } from '../../src/warm/rate.ts';
import { Reached } from '../../src/warm/reached.ts';

const named = (key: string) => ({ key, id: key });

function reporting(onProgress: OnProgress | undefined, total?: number) {
  const clock = new ManualClock();
  const report = new Report({ clock, total, everyMs: 100, onProgress, showsIds: false });
  const load = (loaded: number): void =>
    report.add({ loaded, skipped: 0, failed: 0, last: named(`k${loaded}`) });
  return { clock, report, load };
}

/** What was reported as the error of a callback, until the test ends. */
function callbackErrors(): unknown[] {
  const errors: unknown[] = [];
  const listener = (message: unknown): void => void errors.push(message);
  subscribe('redcache:callback-error', listener);
  onTestFinished(() => void unsubscribe('redcache:callback-error', listener));
  return errors;
}

test('the listener hears the first batch, then one time in a while, and the end', () => {
  const told: number[] = [];
  const { clock, report, load } = reporting(({ done }) => void told.push(done));
  load(1);
  expect(told).toEqual([1]);
  load(1);
  clock.advance(60);
  load(1);
  expect(told).toEqual([1]);
  // Though no batch finishes just then.
  clock.advance(40);
  expect(told).toEqual([1, 3]);
  clock.advance(1_000);
  expect(told).toEqual([1, 3]);
  load(1);
  expect(told).toEqual([1, 3, 4]);
  load(1);
  report.end();
  report.end();
  expect(told).toEqual([1, 3, 4, 5]);
  expect(clock.timers).toBe(0);
  clock.advance(1_000);
  expect(told).toHaveLength(4);
});

test('rate and time left follow what happens lately', () => {
  let last: WarmProgress | undefined;
  const { clock, report, load } = reporting((progress) => {
    last = progress;
  }, 5_000);
  load(0);
  expect(last).toMatchObject({ ratePerSecond: 0, etaMs: undefined, total: 5_000 });
  clock.advance(1_000);
  load(1_000);
  expect(last).toMatchObject({ done: 1_000, ratePerSecond: 1_000, etaMs: 4_000, elapsedMs: 1_000 });
  // Ten times slower from now on: after a while the beginning counts no more.
  for (let i = 0; i < 30; i += 1) {
    clock.advance(1_000);
    load(100);
  }
  expect(last).toMatchObject({ done: 4_000, ratePerSecond: 100, etaMs: 10_000 });
  load(1_000);
  expect(report.end()).toMatchObject({ done: 5_000, etaMs: 0, elapsedMs: 31_000 });
});

test('without a total there is a rate and no time left', () => {
  const { clock, report, load } = reporting(undefined);
  clock.advance(2_000);
  load(10);
  expect(report.end()).toMatchObject({ ratePerSecond: 5, etaMs: undefined, total: undefined });
});

test('a total that was too low is no time before now', () => {
  const { clock, report, load } = reporting(undefined, 5);
  clock.advance(1_000);
  load(10);
  expect(report.end().etaMs).toBe(0);
});

test('a rate remembers no more than its window holds', () => {
  const rate = new Rate(0);
  for (let atMs = 0; atMs < 1_000_000; atMs += 10) rate.note(atMs, atMs);
  expect(rate.perSecond(1_000_000, 1_000_000)).toBe(1_000);
  // Slow from here: had it kept all, this would be far more than a third.
  expect(rate.perSecond(1_030_000, 1_000_000)).toBeLessThan(350);
});

test.each([
  [
    'throws',
    (): never => {
      throw new Error('mine');
    },
  ],
  [
    'rejects',
    async (): Promise<never> => {
      throw new Error('mine');
    },
  ],
])('a listener that %s is reported and changes nothing', async (_, onProgress) => {
  const errors = callbackErrors();
  const { report, load } = reporting(onProgress);
  load(1);
  expect(report.end()).toMatchObject({ done: 1 });
  await new Promise((resolve) => setImmediate(resolve));
  const wanted = { callback: 'onProgress', error: expect.objectContaining({ message: 'mine' }) };
  expect(errors).toEqual([wanted, wanted]);
});

test('the last key is the one before the first gap', () => {
  const reached = new Reached();
  const [a, b, c] = ['a', 'b', 'c'].map((key) => reached.begin(named(key))) as [
    () => void,
    () => void,
    () => void,
  ];
  c();
  expect(reached.last?.key).toBeUndefined();
  a();
  expect(reached.last?.key).toBe('a');
  const d = reached.begin(named('d'));
  b();
  expect(reached.last?.key).toBe('c');
  d();
  expect(reached.last?.key).toBe('d');
});
