import type { Goal, Result, Row } from './harness.ts';
import { median, noise, ratio } from './ratio.ts';

/** A table for people, the noise floor under it. */
export function reportOf(result: Result): string {
  const base = result.rows[0] as Row;
  const lines = result.rows.map((row) => {
    const low = nanoseconds(Math.min(...row.roundsNs));
    const high = nanoseconds(Math.max(...row.roundsNs));
    const middle = nanoseconds(median(row.roundsNs));
    return [row.name, middle, `${low} – ${high}`, `${ratio(row, base).toFixed(2)} ×`];
  });
  const table = [['', 'median', 'all rounds', 'ratio'], ...lines];
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...table.map((line) => (line[column] as string).length)),
  );
  return [
    ...table.map((line) => line.map((cell, i) => padded(cell, widths[i] as number, i)).join('  ')),
    `${base.name} against itself: ${(100 * noise(result)).toFixed(1)} % apart in the median round; what differs less is a tie`,
  ].join('\n');
}

const padded = (cell: string, width: number, column: number): string =>
  column === 0 ? cell.padEnd(width) : cell.padStart(width);

const nanoseconds = (ns: number): string =>
  ns < 1000 ? `${ns.toFixed(1)} ns` : `${(ns / 1000).toFixed(2)} µs`;

export interface Outcome {
  readonly reached: boolean;
  readonly line: string;
}

/** Whether the goal was reached in this run, and by how much. */
export function outcomeOf({ subject, of, atMost }: Goal, { rows }: Result): Outcome {
  const [row, base] = [subject, of].map((name) => rows.find((each) => each.name === name));
  if (row === undefined || base === undefined) throw new Error(`no subject ${subject} or ${of}`);
  const found = ratio(row, base);
  const reached = found <= atMost;
  const verdict = reached ? 'reached' : 'MISSED';
  return {
    reached,
    line: `${verdict}: ${subject} at most ${atMost} × ${of}; it is ${found.toFixed(2)} ×`,
  };
}
