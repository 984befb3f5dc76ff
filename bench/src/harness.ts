import { getHeapStatistics } from 'node:v8';
import { measure } from 'mitata';
import { type Contender, type Panel, panelOf } from './panel.ts';
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

export const FULL: Effort = { name: 'full', rounds: 9, msPerRound: 150 };
export const QUICK: Effort = { name: 'quick', rounds: 3, msPerRound: 30 };

/** What one call took, and how much memory it allocated. */
interface CallCost {
  readonly ns: number;
  readonly bytes: number;
}

/** Measures all subjects in turn; the baseline comes once more at the end of each round. */
export async function measureStage(
  { subjects }: Stage,
  effort: Effort,
): Promise<readonly [times: Panel, ...garbage: Panel[]]> {
  const figures = await inTurn([...subjects, subjects[0]], effort.rounds, (subject) =>
    measureOnce(subject, effort.msPerRound),
  );
  const head = { setting: '', better: 'less' } as const;
  const times = panelOf(
    { ...head, figure: 'a call', unit: 'ns' },
    subjects,
    figures,
    ({ ns }) => ns,
  );
  // A run in which garbage was collected says nothing of what it allocated, and all may be such.
  if (figures.flat().some(({ bytes }) => !Number.isFinite(bytes))) return [times];
  return [
    times,
    panelOf(
      { ...head, figure: 'allocated', unit: 'bytes' },
      subjects,
      figures,
      ({ bytes }) => bytes,
    ),
  ];
}

async function measureOnce({ run, callsPerRun }: Subject, forMs: number): Promise<CallCost> {
  globalThis.gc?.();
  // A run is long enough to be timed by itself: no batches of the library's own.
  const { p50, heap } = await measure(run, {
    min_cpu_time: forMs * 1e6,
    batch_threshold: 0,
    heap: () => getHeapStatistics().used_heap_size,
  });
  return { ns: p50 / callsPerRun, bytes: (heap?.avg ?? Number.NaN) / callsPerRun };
}
