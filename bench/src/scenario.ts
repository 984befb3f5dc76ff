import type { Effort, Stage } from './harness.ts';
import type { Panel } from './panel.ts';
import type { Outcome } from './report.ts';

/** One question, answered by timing calls that are made in this process. */
interface TimedScenario {
  readonly kind: 'timed';
  readonly name: string;
  readonly question: string;
  open(redisUrl: string): Promise<Stage>;
}

/** One question that needs more than times of calls, and so measures by itself. */
interface Study {
  readonly kind: 'study';
  readonly name: string;
  readonly question: string;
  run(redisUrl: string, effort: Effort): Promise<Findings>;
}

export type Scenario = TimedScenario | Study;

/** What a study found. */
export interface Findings {
  /** What is compared with what; printed as tables, and kept. */
  readonly panels?: readonly Panel[];
  /** For people, beside the tables; what goes together is one text. */
  readonly report?: readonly string[];
  readonly outcomes: readonly Outcome[];
}
