import { LOSSES, REPLACING } from './conformance/connection.ts';
import { ENGINE } from './conformance/engine.ts';
import { type Cases, PortTrial, type PortUnderTest } from './conformance/port-trial.ts';
import { PUSHES } from './conformance/pushes.ts';
import { REPLIES } from './conformance/replies.ts';

export interface ConformanceOptions {
  /** Whether the port has `replace()`; default true. With false the cases about it are left out. */
  readonly replaces?: boolean;
  /** When a case gives up waiting; default 10 000. */
  readonly deadlineMs?: number;
}

/** One fact about a port. `run` rejects with what is wrong, and ends in any case. */
export interface ConformanceCase {
  readonly name: string;
  run(): Promise<void>;
}

/**
 * The facts the engine relies on, for an embedder to run against his {@link TrackingPort} in any
 * test runner: `for (const { name, run } of portConformance(makePort)) test(name, run)`.
 *
 * `makePort` is called anew for each case and everything it brings is closed after it. It must lead
 * to a server (Redis 7 or newer, Valkey) that nobody else needs: the cases send FLUSHALL.
 */
export function portConformance(
  makePort: () => Promise<PortUnderTest>,
  { replaces = true, deadlineMs = 10_000 }: ConformanceOptions = {},
): ConformanceCase[] {
  const cases: Cases = {
    ...REPLIES,
    ...PUSHES,
    ...LOSSES,
    ...(replaces ? REPLACING : {}),
    ...ENGINE,
  };
  return Object.entries(cases).map(([name, check]) => ({
    name,
    run: async () => {
      const trial = new PortTrial(await makePort(), deadlineMs);
      try {
        await trial.begin();
        await check(trial);
      } finally {
        await trial.end();
      }
    },
  }));
}
