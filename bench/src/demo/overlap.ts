/** One run of a loader, with times of the clock that all processes share. */
export interface LoaderRun {
  readonly key: string;
  readonly process: number;
  /** When the read that came to run the loader was made. */
  readonly askedAtMs: number;
  readonly beganAtMs: number;
  readonly endedAtMs: number;
  /** False where the cache said that it could not have a lease, Redis being away or silent. */
  readonly leased: boolean;
}

/** From the send of a delete to its answer, which may be still to come. */
export interface DeleteUnderWay {
  readonly sentAtMs: number;
  resolvedAtMs: number | undefined;
}

/** Two runs of one key at the same time that nothing explains; `first` began first. */
export interface DoubleLoad {
  readonly first: LoaderRun;
  readonly second: LoaderRun;
}

/** Runs and deletes that were over this long ago meet no run that is reported now. */
const KEPT_MS = 120_000;
/** Lists are searched through for what is too old when they have become this long. */
const LONG = 256;

/**
 * Finds double loads: two loader runs of one key that overlap in time, in whatever processes, though
 * the lease of the first still stood when the second began.
 *
 * What explains an overlap:
 * - A delete of the key that Redis executed after it had granted the first lease and before it
 *   granted the second. Redis executes a delete somewhere between its send and its answer, and
 *   grants a lease somewhere between the call and the beginning of the loader. So every delete that
 *   may have fallen in between explains it. No false alarm; what can be missed is a double load
 *   within the few milliseconds around a delete of the same key.
 * - A run without a lease: while Redis is away each process loads for itself.
 * - A lost connection between the first call and the beginning of the second run: leases are kept
 *   in Redis and are gone with it.
 */
export class Overlaps {
  readonly #runs = new Map<string, LoaderRun[]>();
  readonly #deletes = new Map<string, DeleteUnderWay[]>();
  readonly #lossesAtMs: number[] = [];

  /** To be added when it is sent, and given its other end by the caller when that comes. */
  addDelete(key: string, underWay: DeleteUnderWay): void {
    append(this.#deletes, key, underWay, (each) => each.resolvedAtMs, underWay.sentAtMs);
  }

  /** A process noticed that it had lost its connection to Redis. */
  addLoss(atMs: number): void {
    this.#lossesAtMs.push(atMs);
  }

  /**
   * The double loads that this run makes with those added before. Deletes and losses from before it
   * began must have been added.
   */
  add(run: LoaderRun): DoubleLoad[] {
    const found = (this.#runs.get(run.key) ?? [])
      .filter((other) => other.beganAtMs < run.endedAtMs && run.beganAtMs < other.endedAtMs)
      .map((other) =>
        other.beganAtMs <= run.beganAtMs
          ? { first: other, second: run }
          : { first: run, second: other },
      )
      .filter((pair) => !this.#isExplained(pair));
    append(this.#runs, run.key, run, (each) => each.endedAtMs, run.beganAtMs);
    return found;
  }

  #isExplained({ first, second }: DoubleLoad): boolean {
    if (!first.leased || !second.leased) return true;
    const deletes = this.#deletes.get(first.key) ?? [];
    return (
      deletes.some(
        ({ sentAtMs, resolvedAtMs = Number.POSITIVE_INFINITY }) =>
          sentAtMs < second.beganAtMs && resolvedAtMs > first.askedAtMs,
      ) || this.#lossesAtMs.some((atMs) => atMs < second.beganAtMs && atMs > first.askedAtMs)
    );
  }
}

function append<T>(
  lists: Map<string, T[]>,
  key: string,
  value: T,
  endOf: (value: T) => number | undefined,
  nowMs: number,
): void {
  let list = lists.get(key) ?? [];
  if (list.length >= LONG)
    list = list.filter((each) => (endOf(each) ?? Number.POSITIVE_INFINITY) > nowMs - KEPT_MS);
  list.push(value);
  lists.set(key, list);
}
