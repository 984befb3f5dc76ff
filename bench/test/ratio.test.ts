import { describe, expect, test } from 'vitest';
import type { Result, Row } from '../src/harness.ts';
import { median, noise, ratio } from '../src/ratio.ts';
import { outcomeOf, reportOf } from '../src/report.ts';

const row = (name: string, ...roundsNs: number[]): Row => ({ name, roundsNs });
const result: Result = {
  rows: [row('base', 100, 200, 100), row('twice', 200, 400, 230), row('half', 50, 100, 50)],
  again: row('base', 110, 190, 100),
};

test('the median is the middle, or half way between the two in the middle', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([1, 9, 3, 5])).toBe(4);
});

test('a ratio compares figures of the same round, so a slow round changes nothing', () => {
  expect(ratio(row('a', 200, 2000, 200), row('b', 100, 1000, 100))).toBe(2);
});

test('the noise is how far the baseline is from itself', () => {
  expect(noise(result)).toBeCloseTo(0.05);
});

describe('a goal', () => {
  test('is reached up to its limit and missed beyond', () => {
    expect(outcomeOf({ subject: 'twice', of: 'base', atMost: 2 }, result)).toMatchObject({
      reached: true,
    });
    expect(outcomeOf({ subject: 'twice', of: 'base', atMost: 1.9 }, result)).toEqual({
      reached: false,
      line: 'MISSED: twice at most 1.9 × base; it is 2.00 ×',
    });
  });

  test('may be about a row other than the baseline', () => {
    const goal = { subject: 'half', of: 'twice', atMost: 0.3 };
    expect(outcomeOf(goal, result).reached).toBe(true);
  });

  test('about a row that is not there is a mistake', () => {
    expect(() => outcomeOf({ subject: 'x', of: 'base', atMost: 1 }, result)).toThrow('x');
  });
});

test('the report has a line for each row, with its ratio to the first', () => {
  const [, base, twice, half, floor] = reportOf(result).split('\n');
  expect(base).toMatch(/^base +100\.0 ns .* 1\.00 ×$/);
  expect(twice).toMatch(/^twice +230\.0 ns +200\.0 ns – 400\.0 ns +2\.00 ×$/);
  expect(half).toMatch(/0\.50 ×$/);
  expect(floor).toContain('5.0 % apart');
});
