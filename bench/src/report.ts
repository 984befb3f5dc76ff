import type { Goal, Result, Row } from './harness.ts';
import { median, noise, ratio } from './ratio.ts';
import { tableOf } from './table.ts';

/** A table for people, the noise floor under it. */
export function reportOf(result: Result): string {
  const base = result.rows[0] as Row;
  const lines = result.rows.map((row) => {
    const low = nanoseconds(Math.min(...row.roundsNs));
    const high = nanoseconds(Math.max(...row.roundsNs));
    const middle = nanoseconds(median(row.roundsNs));
    return [row.name, middle, `${low} – ${high}`, `${ratio(row, base).toFixed(2)} ×`];
  });
  return [
    tableOf([['', 'median', 'all rounds', 'ratio'], ...lines]),
    `${base.name} against itself: ${(100 * noise(result)).toFixed(1)} % apart in the median round; what differs less is a tie`,
  ].join('\n');
}

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
  return verdictOf(subject, of, atMost, ratio(row, base));
}

/** `found`: how many times as much `subject` costs as `of`, which may be `atMost` so many. */
export function verdictOf(subject: string, of: string, atMost: number, found: number): Outcome {
  return judged(
    found <= atMost,
    `${subject} at most ${atMost} × ${of}; it is ${found.toFixed(2)} ×`,
  );
}

/** `goal`: what was to be, and what is. */
export function judged(reached: boolean, goal: string): Outcome {
  return { reached, line: `${reached ? 'reached' : 'MISSED'}: ${goal}` };
}
