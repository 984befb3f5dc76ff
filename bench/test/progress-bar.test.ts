import { expect, test } from 'vitest';
import { barOf, lineOf } from '../src/demo/progress-bar.ts';

const progress = {
  ...{ done: 125, loaded: 100, skipped: 25, failed: 0, lastKey: 'country:XA', total: 250 },
  ...{ elapsedMs: 500, ratePerSecond: 250, etaMs: 500 },
};

test('the bar is as full as the work is done, and always as wide', () => {
  expect(barOf({ done: 0, total: 250 })).toBe('░'.repeat(30));
  expect(barOf(progress)).toBe('█'.repeat(15) + '░'.repeat(15));
  // Full only at the end.
  expect(barOf({ done: 249, total: 250 })).toBe(`${'█'.repeat(29)}░`);
  expect(barOf({ done: 250, total: 250 })).toBe('█'.repeat(30));
  expect(barOf({ done: 0, total: 0 })).toBe('█'.repeat(30));
});

test('the line says what there is to say', () => {
  expect(lineOf(progress)).toBe('warmed 125 of 250 (50.0 %) · 250/s · 500 ms left · 25 were there');
  expect(lineOf({ ...progress, skipped: 0, done: 250, etaMs: 0, failed: 2 })).toBe(
    'warmed 250 of 250 (100.0 %) · 250/s · 2 failed',
  );
});
