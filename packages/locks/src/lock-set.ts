import type { Duration } from '@redcache/core';
import type { Lock } from './lock.ts';

/** Locks that were acquired together and are given back together. */
export interface LockSet extends AsyncDisposable {
  /** Each once, in the order in which they were locked. */
  readonly keys: readonly string[];
  /** In the same order. */
  readonly locks: readonly Lock[];
  /** Aborted when the first of them is lost. Reading it looks at the clock. */
  readonly signal: AbortSignal;
  /** How long all of them can still be relied on if nobody extends them. */
  remainingMs(): number;
  /**
   * Starts the leases of all of them anew.
   *
   * Throws: what {@link Lock.extend} throws, for the first that could not be; the others are extended.
   */
  extend(lease?: Duration): Promise<void>;
  /**
   * Gives all of them back, at once.
   *
   * Resolves: 'lost' if any of them was no longer ours.
   * Throws: as {@link Lock.release}, when the others have been given back.
   */
  release(): Promise<'released' | 'lost'>;
}

export class HeldLockSet implements LockSet {
  readonly keys: readonly string[];
  readonly locks: readonly Lock[];
  #signal: AbortSignal | undefined;

  constructor(locks: readonly Lock[]) {
    this.locks = locks;
    this.keys = locks.map(({ key }) => key);
  }

  get signal(): AbortSignal {
    const signals = this.locks.map(({ signal }) => signal);
    this.#signal ??= AbortSignal.any(signals);
    return this.#signal;
  }

  remainingMs(): number {
    return Math.min(...this.locks.map((lock) => lock.remainingMs()));
  }

  async extend(lease?: Duration): Promise<void> {
    await allSettled(this.locks.map((lock) => lock.extend(lease)));
  }

  async release(): Promise<'released' | 'lost'> {
    const outcomes = await allSettled(this.locks.map((lock) => lock.release()));
    return outcomes.every((outcome) => outcome === 'released') ? 'released' : 'lost';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release().catch(() => {});
  }
}

/** As `Promise.all`, but waits for all of them before it rejects. */
async function allSettled<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}
