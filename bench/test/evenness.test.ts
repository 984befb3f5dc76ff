import { expect, test } from 'vitest';
import { evenness, total } from '../src/evenness.ts';

test('evenness is the smallest share as a part of the largest', () => {
  expect(evenness([30, 40, 35])).toBe(0.75);
  expect(evenness([7, 7])).toBe(1);
  expect(evenness([9, 0, 5])).toBe(0);
});

test('if nobody had anything there is nothing to be shared, evenly or not', () => {
  expect(() => evenness([0, 0])).toThrow('nobody');
});

test('the total is what all have together', () => {
  expect(total([1, 2, 4])).toBe(7);
});
