import { type TimeStats, Times } from '@redcache/core/toolkit';
import type { LossReason } from './errors.ts';

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

/** Counts what the locks of one `createLocks` go through. */
export class Tally {
  readonly #waitTime = new Times();
  readonly #holdTime = new Times();
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
    this.#waitTime.record(waitedMs);
  }

  handedOff(): void {
    this.#handOffs += 1;
  }

  extended(): void {
    this.#extensions += 1;
  }

  ended(heldMs: number): void {
    this.#holdTime.record(heldMs);
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
      waitTime: this.#waitTime.stats(),
      holdTime: this.#holdTime.stats(),
      handOffs: this.#handOffs,
      extensions: this.#extensions,
      lost: { ...this.#lost },
      contention: new Map(this.#contention),
    };
  }
}
