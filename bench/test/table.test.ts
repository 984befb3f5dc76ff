import { expect, test } from 'vitest';
import { tableOf } from '../src/table.ts';

test('a column is as wide as its widest cell, and only the first is flush left', () => {
  const table = tableOf([
    ['', 'ms', 'ratio'],
    ['a', '1', '1.00 ×'],
    ['long', '1000'],
  ]);
  expect(table.split('\n')).toEqual(['        ms   ratio', 'a        1  1.00 ×', 'long  1000']);
});
