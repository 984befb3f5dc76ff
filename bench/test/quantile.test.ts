import { expect, test } from 'vitest';
import { quantile } from '../src/quantile.ts';

const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);

test('a quantile is the value that so many of all do not exceed, in whatever order they come', () => {
  expect(quantile(hundred, 0.5)).toBe(50);
  expect(quantile(hundred, 0.95)).toBe(95);
  expect(quantile([7, 3, 5], 0.5)).toBe(5);
});

test('the first and the last are the smallest and the largest', () => {
  expect([quantile(hundred, 0), quantile(hundred, 1)]).toEqual([1, 100]);
});

test('of few values the 95th percentile is the largest', () => {
  expect(quantile([1, 2, 3], 0.95)).toBe(3);
});

test('of nothing there is none', () => {
  expect(() => quantile([], 0.5)).toThrow('no values');
});
