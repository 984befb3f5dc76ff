import { calms, type Fault, isDisturbed, nsOf } from './fault.ts';

/** One call of what is tested, by one of the processes. */
export interface Call {
  /** The key. */
  readonly of: string;
  readonly by: string;
  readonly begunNs: bigint;
  readonly endedNs: bigint;
  /** `given up`: by its caller, which says nothing of what was called. */
  readonly outcome: 'succeeded' | 'given up' | { readonly failedWith: string };
}

export interface Lateness {
  readonly key: string;
  /** Where the faults had ended. */
  readonly sinceNs: bigint;
}

/**
 * Keys for which no call succeeded within `boundMs` after the faults had ended. A calm that is
 * shorter says nothing, but for the last, after which nothing was to come.
 */
export function late(
  keys: readonly string[],
  calls: readonly Call[],
  faults: readonly Fault[],
  [startedNs, endedNs]: readonly [bigint, bigint],
  boundMs: number,
): Lateness[] {
  const all = calms(faults, startedNs, endedNs);
  const telling = all.filter(
    ({ fromNs, untilNs }, i) => untilNs - fromNs >= nsOf(boundMs) || i === all.length - 1,
  );
  return telling.flatMap(({ fromNs }) =>
    keys
      .filter((key) => {
        const inTime = fromNs + nsOf(boundMs);
        return !calls.some(
          ({ of, outcome, endedNs: atNs }) =>
            of === key && outcome === 'succeeded' && atNs >= fromNs && atNs <= inTime,
        );
      })
      .map((key) => ({ key, sinceNs: fromNs })),
  );
}

/** Calls that neither began nor ended during a fault, nor within `afterMs` of its end. */
export function undisturbed(
  calls: readonly Call[],
  faults: readonly Fault[],
  afterMs: number,
): Call[] {
  const afterNs = nsOf(afterMs);
  return calls.filter(
    ({ begunNs, endedNs, outcome }) =>
      outcome !== 'given up' &&
      !isDisturbed(faults, begunNs, afterNs) &&
      !isDisturbed(faults, endedNs, afterNs),
  );
}
