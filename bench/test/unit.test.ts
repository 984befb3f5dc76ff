import { expect, test } from 'vitest';
import { textOf, type Unit } from '../src/unit.ts';

test.each<[number, Unit, string]>([
  [123.4, 'ns', '123 ns'],
  [1234, 'ns', '1.23 µs'],
  [0.5, 'µs', '500 ns'],
  [12.34, 'ms', '12.3 ms'],
  [12_340, 'ms', '12.3 s'],
  [9_999, '/s', '9,999 /s'],
  [12_340, '/s', '12.3 k/s'],
  [1_234_000, '/s', '1.23 M/s'],
  [370, 'bytes', '370 B'],
  [12_340, 'bytes', '12.3 kB'],
  [4e9, 'bytes', '4.00 GB'],
  [0.134, 'bytes', '0.134 B'],
  [0, 'count', '0'],
  [2.5, 'count', '2.50'],
  [0.0024, 'share', '0.240 %'],
  [1, 'share', '100 %'],
])('%d %s is %s', (figure, unit, text) => {
  expect(textOf(figure, unit)).toBe(text);
});
