import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { LossReason } from './errors.ts';

/** Times in milliseconds; all 0 while nothing was counted. */
export interface TimeStats {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

export interface LocksStats {
  /** Locks that this process holds just now. */
  readonly held: number;
  /** Callers of this process that wait just now. */
  readonly waiting: number;
  /** Locks that were acquired, and how many of them after waiting for somebody else. */
  readonly acquired: number;
  readonly waited: number;
  /** From the call to the lock, and from the lock to its release or loss. */
  readonly waitTime: TimeStats;
  readonly holdTime: TimeStats;
  /** Callers that got the lock from another of this process, without a round trip. */
  readonly handOffs: number;
  /** Extensions that Redis has confirmed. */
  readonly extensions: number;
  readonly lost: Readonly<Record<LossReason, number>>;
  /** How often callers had to wait, by key: the keys waited for last, at most 100. */
  readonly contention: ReadonlyMap<string, number>;
}

const MOST_KEYS = 100;
/** A histogram counts whole microseconds, up to an hour, to one part in a hundred. */
const US_A_MS = 1_000;
const LONGEST_US = 3_600_000_000;

/** Counts what the locks of one `createLocks` go through. */
export class Tally {
  readonly #waitTime = newHistogram();
  readonly #holdTime = newHistogram();
  readonly #contention = new Map<string, number>();
  readonly #lost: Record<LossReason, number> = {
    ...{ expired: 0, deleted: 0, taken: 0, flushed: 0, disconnected: 0, closed: 0 },
  };
  #acquired = 0;
  #waited = 0;
  #handOffs = 0;
  #extensions = 0;

  acquired(waitedMs: number): void {
    this.#acquired += 1;
    record(this.#waitTime, waitedMs);
  }

  handedOff(): void {
    this.#handOffs += 1;
  }

  extended(): void {
    this.#extensions += 1;
  }

  ended(heldMs: number): void {
    record(this.#holdTime, heldMs);
  }

  lost(reason: LossReason): void {
    this.#lost[reason] += 1;
  }

  /** A caller has to wait for this key. */
  waited(key: string): void {
    this.#waited += 1;
    const before = this.#contention.get(key) ?? 0;
    // Behind the others, so that the one that was waited for longest ago is the first.
    this.#contention.delete(key);
    this.#contention.set(key, before + 1);
    if (this.#contention.size <= MOST_KEYS) return;
    const [oldest] = this.#contention.keys();
    this.#contention.delete(oldest as string);
  }

  stats(now: Pick<LocksStats, 'held' | 'waiting'>): LocksStats {
    return {
      ...now,
      acquired: this.#acquired,
      waited: this.#waited,
      waitTime: timesOf(this.#waitTime),
      holdTime: timesOf(this.#holdTime),
      handOffs: this.#handOffs,
      extensions: this.#extensions,
      lost: { ...this.#lost },
      contention: new Map(this.#contention),
    };
  }
}

function newHistogram(): RecordableHistogram {
  return createHistogram({ lowest: 1, highest: LONGEST_US, figures: 2 });
}

function record(histogram: RecordableHistogram, timeMs: number): void {
  histogram.record(Math.min(Math.max(1, Math.round(timeMs * US_A_MS)), LONGEST_US));
}

function timesOf(histogram: RecordableHistogram): TimeStats {
  if (histogram.count === 0) return { count: 0, mean: 0, p50: 0, p95: 0, p99: 0, max: 0 };
  const at = (percentile: number): number => histogram.percentile(percentile) / US_A_MS;
  return {
    count: histogram.count,
    mean: histogram.mean / US_A_MS,
    ...{ p50: at(50), p95: at(95), p99: at(99) },
    max: histogram.max / US_A_MS,
  };
}
