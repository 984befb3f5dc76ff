import { describe, expect, test } from 'vitest';
import { type LoaderRun, Overlaps } from '../src/demo/overlap.ts';

const run = (beganAtMs: number, endedAtMs: number, more: Partial<LoaderRun> = {}): LoaderRun => ({
  ...{ key: 'k', process: 1, askedAtMs: beganAtMs - 1, beganAtMs, endedAtMs, leased: true },
  ...more,
});
const first = run(100, 200);
const second = run(150, 250, { process: 2 });

/** How many double loads there are when these runs are reported in this order. */
function doublesOf(overlaps: Overlaps, ...runs: readonly LoaderRun[]): number {
  return runs.reduce((sum, each) => sum + overlaps.add(each).length, 0);
}

describe('a double load', () => {
  test('is two runs of one key at the same time in two processes', () => {
    const overlaps = new Overlaps();
    overlaps.add(first);
    expect(overlaps.add(second)).toEqual([{ first, second }]);
  });

  test('is two such runs in one process as well', () => {
    expect(doublesOf(new Overlaps(), first, run(150, 160))).toBe(1);
  });

  test('is found when the later run is reported first', () => {
    const overlaps = new Overlaps();
    overlaps.add(second);
    expect(overlaps.add(first)).toEqual([{ first, second }]);
  });

  test('is found for a run within another, and for runs that begin together', () => {
    expect(doublesOf(new Overlaps(), first, run(120, 130))).toBe(1);
    expect(doublesOf(new Overlaps(), first, run(100, 200, { process: 2 }))).toBe(1);
  });

  test('is found once for each pair', () => {
    expect(doublesOf(new Overlaps(), first, second, run(160, 260, { process: 3 }))).toBe(3);
  });

  test('is found after hundreds of runs of the same key', () => {
    const overlaps = new Overlaps();
    const alone = Array.from({ length: 1000 }, (_, i) => run(i * 300, i * 300 + 100));
    expect(doublesOf(overlaps, ...alone)).toBe(0);
    expect(doublesOf(overlaps, run(999 * 300 + 50, 999 * 300 + 60))).toBe(1);
  });
});

describe('no double load', () => {
  test('are runs of different keys', () => {
    expect(doublesOf(new Overlaps(), first, { ...second, key: 'other' })).toBe(0);
  });

  test('are runs one after the other', () => {
    expect(doublesOf(new Overlaps(), first, run(200, 300), run(300, 400))).toBe(0);
  });

  test('is a run without a lease beside another', () => {
    expect(doublesOf(new Overlaps(), first, { ...second, leased: false })).toBe(0);
    expect(doublesOf(new Overlaps(), { ...first, leased: false }, second)).toBe(0);
  });
});

describe('a delete', () => {
  const doublesWithDelete = (sentAtMs: number, resolvedAtMs?: number, key = 'k'): number => {
    const overlaps = new Overlaps();
    overlaps.addDelete(key, { sentAtMs, resolvedAtMs });
    return doublesOf(overlaps, first, second);
  };

  test('between the two beginnings explains the second run', () => {
    expect(doublesWithDelete(110, 120)).toBe(0);
  });

  test('under way when the first lease was granted or the second run began explains it', () => {
    expect(doublesWithDelete(50, 99.5)).toBe(0);
    expect(doublesWithDelete(149, 400)).toBe(0);
    expect(doublesWithDelete(140)).toBe(0);
  });

  test('over before the first run was asked for explains nothing', () => {
    expect(doublesWithDelete(50, 98)).toBe(1);
  });

  test('sent after the second run began explains nothing', () => {
    expect(doublesWithDelete(151, 160)).toBe(1);
  });

  test('of another key explains nothing', () => {
    expect(doublesWithDelete(110, 120, 'other')).toBe(1);
  });

  test('whose end is set later counts up to there', () => {
    const overlaps = new Overlaps();
    const underWay = { sentAtMs: 50, resolvedAtMs: undefined as number | undefined };
    overlaps.addDelete('k', underWay);
    underWay.resolvedAtMs = 60;
    expect(doublesOf(overlaps, first, second)).toBe(1);
  });
});

describe('a lost connection', () => {
  const doublesWithLoss = (atMs: number): number => {
    const overlaps = new Overlaps();
    overlaps.addLoss(atMs);
    return doublesOf(overlaps, first, second);
  };

  test('between the first call and the second beginning explains the second run', () => {
    expect(doublesWithLoss(120)).toBe(0);
  });

  test('before or after explains nothing', () => {
    expect(doublesWithLoss(90)).toBe(1);
    expect(doublesWithLoss(160)).toBe(1);
  });
});
