import { expect, test } from 'vitest';
import { KeyMemo } from '../src/key-memo.ts';

/** As many as a generation holds. */
const GENERATION = 10_000;

test('finds what it kept, and tells ids of different types apart', () => {
  const memo = new KeyMemo<unknown>();
  memo.keep(1, 'number');
  memo.keep('1', 'text');
  memo.keep(1n, 'bigint');
  expect([memo.find(1), memo.find('1'), memo.find(1n)]).toEqual(['number', 'text', 'bigint']);
  expect(memo.find(2)).toBeUndefined();
});

test('forgets what was not used for long, and nothing that was', () => {
  const memo = new KeyMemo<number>();
  memo.keep(-1, 'used');
  memo.keep(-2, 'unused');
  for (let i = 0; i < 10 * GENERATION; i += 1) {
    memo.keep(i, 'k');
    if (i % 1_000 === 0) expect(memo.find(-1)).toBe('used');
  }
  expect(memo.find(-2)).toBeUndefined();
  const kept = Array.from({ length: 10 * GENERATION }, (_, i) => memo.find(i)).filter(Boolean);
  expect(kept.length).toBeGreaterThan(0);
  expect(kept.length).toBeLessThanOrEqual(2 * GENERATION);
});

test('does not hold long keys', () => {
  const memo = new KeyMemo<string>();
  memo.keep('long', 'x'.repeat(10_000));
  expect(memo.find('long')).toBeUndefined();
});
