import { baseOf, type Panel, type PanelRow } from './panel.ts';
import { quantile } from './quantile.ts';

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >>> 1;
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/**
 * How many times as much one is as the other: the median of the rounds' ratios. Both figures of a
 * ratio come from the same round, seconds apart at most. Nothing is once as much as nothing.
 */
export function ratio(rounds: readonly number[], base: readonly number[]): number {
  return median(rounds.map((figure, round) => quotient(figure, base[round] as number)));
}

/** Of two that are both nothing it is 1. */
export function quotient(figure: number, base: number): number {
  return figure === base ? 1 : figure / base;
}

/** Between which the middle half of the rounds is. */
export function spread(rounds: readonly number[]): readonly [number, number] {
  return [quantile(rounds, 0.25), quantile(rounds, 0.75)];
}

/**
 * How far the same thing measured twice is apart in a middling round: 0.03 is 3 %, whichever of the
 * two was more. None if it was measured once.
 */
export function noise({ rows, again }: Panel): number | undefined {
  if (again === undefined) return undefined;
  const base = rows[0] as PanelRow;
  return median(again.map((figure, round) => distance(figure, base.rounds[round] as number)));
}

/** By how much the larger is more than the smaller: 1 for 200 and 100, and for 100 and 200. */
function distance(one: number, other: number): number {
  return Math.max(quotient(one, other), quotient(other, one)) - 1;
}

/** Whether a row is no further from its baseline than that is from itself. */
export function isTie(panel: Panel, row: PanelRow): boolean {
  const base = baseOf(panel, row);
  const floor = noise(panel);
  if (floor === undefined || row === base) return false;
  return distance(ratio(row.rounds, base.rounds), 1) <= floor;
}
