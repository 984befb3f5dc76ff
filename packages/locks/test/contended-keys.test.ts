import { expect, test } from 'vitest';
import { ContendedKeys } from '../src/contended-keys.ts';

test('a key is contended until it was seen not to be', () => {
  const keys = new ContendedKeys();
  expect(keys.has('k')).toBe(false);
  keys.note('k', true);
  expect(keys.has('k')).toBe(true);
  keys.note('k', false);
  expect(keys.has('k')).toBe(false);
});

test('it remembers the last thousand', () => {
  const keys = new ContendedKeys();
  for (let i = 0; i < 1_001; i += 1) keys.note(`k${i}`, true);
  expect(keys.has('k0')).toBe(false);
  expect(keys.has('k1')).toBe(true);
  expect(keys.has('k1000')).toBe(true);
});
