import { callPanels, measureCalls } from './call-cost.ts';
import type { Contender, Panel } from './panel.ts';
import type { Goal } from './report.ts';
import { inTurn } from './rounds.ts';

/** One row of a scenario: something that is called many times in a run. */
interface Subject extends Contender {
  /**
   * Makes `callsPerRun` calls in a loop of its own. Each subject writes its loop out: one that is
   * shared would see the functions of all of them, and V8 would inline none.
   */
  run(): unknown;
  readonly callsPerRun: number;
}

/** A scenario that is set up. Its first subject is the baseline. */
export interface Stage extends AsyncDisposable {
  readonly subjects: readonly [Subject, ...Subject[]];
  readonly goals: readonly Goal[];
  /** Throws: if what was measured is not what it was meant to be. */
  check(): void | Promise<void>;
}

export interface Effort {
  readonly name: 'full' | 'quick';
  readonly rounds: number;
  readonly msPerRound: number;
}

export const FULL: Effort = { name: 'full', rounds: 7, msPerRound: 120 };
export const QUICK: Effort = { name: 'quick', rounds: 3, msPerRound: 30 };

/** Measures all subjects in turn; the baseline comes once more at the end of each round. */
export async function measureStage(
  { subjects }: Stage,
  effort: Effort,
): Promise<readonly [times: Panel, ...garbage: Panel[]]> {
  const figures = await inTurn([...subjects, subjects[0]], effort.rounds, (subject) =>
    measureCalls(() => subject.run(), subject.callsPerRun, effort.msPerRound),
  );
  return callPanels('', subjects, figures);
}
