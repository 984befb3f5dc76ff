import type { Ranked } from '../../../src/store/policy.ts';

/** An entry as a policy sees it, with a name for the test. */
export class Filed implements Ranked {
  prev: Ranked | undefined = undefined;
  next: Ranked | undefined = undefined;
  rank = 0;
  uses = 0;
  readonly name: string;
  readonly deadlineAtMs: number;

  constructor(name: string, deadlineAtMs: number = Number.POSITIVE_INFINITY) {
    this.name = name;
    this.deadlineAtMs = deadlineAtMs;
  }
}

export const filed = (...names: readonly string[]): Filed[] => names.map((name) => new Filed(name));
