import { expect, test } from 'vitest';
import { resultName } from '../src/machine.ts';

test.each([
  ['Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz', 'intel-xeon-platinum-8370c'],
  ['AMD EPYC 7763 64-Core Processor', 'amd-epyc-7763-64-core'],
  ['Apple M2', 'apple-m2'],
  ['', 'unknown'],
])('a file of %s has its name, and nothing that a path cannot have', (cpu, name) => {
  const date = new Date('2026-01-02T03:04:05Z');
  expect(resultName(date, cpu)).toBe(`2026-01-02-0304-${name}`);
});
