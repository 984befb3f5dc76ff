import { measure } from 'mitata';
import { inTurn } from './rounds.ts';

/** One row of a scenario: something that is called many times in a run. */
interface Subject {
  readonly name: string;
  /**
   * Makes `callsPerRun` calls in a loop of its own. Each subject writes its loop out: one that is
   * shared would see the functions of all of them, and V8 would inline none.
   */
  run(): unknown;
  readonly callsPerRun: number;
}

/** A promise about a scenario: the subject costs at most so many times what another costs. */
export interface Goal {
  readonly subject: string;
  readonly of: string;
  readonly atMost: number;
}

/** A scenario that is set up. Its first subject is the baseline. */
export interface Stage extends AsyncDisposable {
  readonly subjects: readonly [Subject, ...Subject[]];
  readonly goals: readonly Goal[];
  /** Throws: if what was measured is not what it was meant to be. */
  check(): void | Promise<void>;
}

export interface Effort {
  readonly rounds: number;
  readonly msPerRound: number;
}

export const FULL: Effort = { rounds: 15, msPerRound: 400 };
export const QUICK: Effort = { rounds: 5, msPerRound: 100 };

/** Nanoseconds a call, one figure for each round. */
export interface Row {
  readonly name: string;
  readonly roundsNs: readonly number[];
}

export interface Result {
  readonly rows: readonly Row[];
  /** The baseline measured once more in every round: what differs from it less is a tie. */
  readonly again: Row;
}

/** Measures all subjects in turn; the baseline comes once more at the end of each round. */
export async function measureStage({ subjects }: Stage, effort: Effort): Promise<Result> {
  const order = [...subjects, subjects[0]];
  const figures = await inTurn(order, effort.rounds, (subject) =>
    measureOnce(subject, effort.msPerRound),
  );
  const rows = order.map(({ name }, place) => ({ name, roundsNs: figures[place] ?? [] }));
  return { rows: rows.slice(0, -1), again: rows.at(-1) as Row };
}

async function measureOnce({ run, callsPerRun }: Subject, forMs: number): Promise<number> {
  globalThis.gc?.();
  // A run is long enough to be timed by itself: no batches of the library's own.
  const { p50 } = await measure(run, { min_cpu_time: forMs * 1e6, batch_threshold: 0 });
  return p50 / callsPerRun;
}
