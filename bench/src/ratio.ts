import type { Result, Row } from './harness.ts';

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >>> 1;
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/**
 * How many times as much a call of `row` costs as one of `base`: the median of the rounds' ratios.
 * Both figures of a ratio come from the same round, a second apart at most.
 */
export function ratio(row: Row, base: Row): number {
  return median(row.roundsNs.map((ns, round) => ns / (base.roundsNs[round] as number)));
}

/** How far the same thing measured twice is apart in a middling round: 0.03 is 3 %. */
export function noise({ rows, again }: Result): number {
  const base = rows[0] as Row;
  return median(
    again.roundsNs.map((ns, round) => Math.abs(ns / (base.roundsNs[round] as number) - 1)),
  );
}
