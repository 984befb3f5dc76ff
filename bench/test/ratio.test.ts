import { describe, expect, test } from 'vitest';
import type { Panel, PanelRow } from '../src/panel.ts';
import { isTie, median, noise, ratio, spread } from '../src/ratio.ts';
import { outcomeOf, reportOf } from '../src/report.ts';

const row = (name: string, ...rounds: number[]): PanelRow => ({ name, standing: 'ours', rounds });
const panel: Panel = {
  setting: 'hits',
  figure: 'a call',
  unit: 'ns',
  better: 'less',
  rows: [
    row('base', 100, 200, 100),
    row('twice', 200, 400, 230),
    row('half', 50, 100, 50),
    row('near', 104, 208, 104),
  ],
  again: [110, 190, 100],
};

test('the median is the middle, or half way between the two in the middle', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([1, 9, 3, 5])).toBe(4);
});

test('a ratio compares figures of the same round, so a slow round changes nothing', () => {
  expect(ratio([200, 2000, 200], [100, 1000, 100])).toBe(2);
});

test('nothing is as much as nothing, and something is not', () => {
  expect(ratio([0], [0])).toBe(1);
  expect(ratio([1], [0])).toBe(Infinity);
});

test('the spread has the middle half of the rounds in it', () => {
  expect(spread([1, 2, 3, 4, 5, 6, 7, 8])).toEqual([2, 6]);
  expect(spread([7])).toEqual([7, 7]);
});

describe('the noise', () => {
  test('is how far the baseline is from itself', () => {
    expect(noise(panel)).toBeCloseTo(0.0526, 4);
  });

  test('is the same whichever of the two was more', () => {
    const once = { ...panel, rows: [row('base', 100)], again: [200] };
    const other = { ...panel, rows: [row('base', 200)], again: [100] };
    expect(noise(once)).toBe(1);
    expect(noise(other)).toBe(1);
  });

  test('is unknown where nothing was measured twice', () => {
    expect(noise({ ...panel, again: undefined })).toBeUndefined();
  });
});

test('what differs less than the noise is a tie, and the baseline itself is none', () => {
  expect(panel.rows.map((each) => isTie(panel, each))).toEqual([false, false, false, true]);
});

test('a tenth is no tie with noise of a half', () => {
  const noisy = { ...panel, rows: [row('base', 100), row('tenth', 10)], again: [250] };
  expect(isTie(noisy, noisy.rows[1] as PanelRow)).toBe(false);
});

describe('a goal', () => {
  test('is reached up to its limit and missed beyond', () => {
    expect(outcomeOf({ subject: 'twice', of: 'base', atMost: 2 }, panel).reached).toBe(true);
    expect(outcomeOf({ subject: 'twice', of: 'base', atMost: 1.9 }, panel)).toEqual({
      reached: false,
      line: 'MISSED: twice at most 1.9 × base; it is 2.00 ×',
    });
  });

  test('may be about a row other than the baseline', () => {
    const goal = { subject: 'half', of: 'twice', atMost: 0.3 };
    expect(outcomeOf(goal, panel).reached).toBe(true);
  });

  test('about a row that is not there is a mistake', () => {
    expect(() => outcomeOf({ subject: 'x', of: 'base', atMost: 1 }, panel)).toThrow('x');
  });
});

describe('the report', () => {
  test('has a line for each row, with its ratio to the first', () => {
    const [text = ''] = reportOf([panel]);
    const [head, base, twice, half, near, floor] = text.split('\n');
    expect(head).toMatch(/^hits +a call +middle half +ratio$/);
    expect(base).toMatch(/^base +100 ns +100 ns – 200 ns +1\.00 ×$/);
    expect(twice).toMatch(/^twice +230 ns +200 ns – 400 ns +2\.00 ×$/);
    expect(half).toMatch(/0\.50 ×$/);
    expect(near).toMatch(/1\.04 × tie$/);
    expect(floor).toContain('apart by a call 5.3 %');
  });

  test('puts the figures of one setting side by side, and a table under the other', () => {
    const memory: Panel = { ...panel, figure: 'allocated', unit: 'bytes', again: undefined };
    const other: Panel = { ...panel, setting: 'misses' };
    const [hits = '', misses = '', ...more] = reportOf([panel, other, memory]);
    expect(hits.split('\n')[0]).toMatch(/^hits +a call .* allocated +middle half +ratio$/);
    expect(misses.split('\n')[0]).toMatch(/^misses +a call/);
    expect(more).toEqual([]);
  });

  test('compares what has places with the first of the same place', () => {
    const rows = [1, 10].flatMap((at) => [
      { ...row('a', 100 * at), at },
      { ...row('b', 300 * at), at },
    ]);
    const [text = ''] = reportOf([{ ...panel, along: 'keys', rows, again: undefined }]);
    expect(text.split('\n').filter((line) => /^b .* 3\.00 ×$/.test(line))).toHaveLength(2);
    expect(text).toMatch(/keys/);
  });
});
