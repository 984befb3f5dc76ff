import type { Clock } from '@redcache/core';
import type { HeldLock } from './lock.ts';
import type { AcquireSettings } from './options.ts';
import { Patience } from './patience.ts';

export interface CallerParts {
  readonly wanted: AcquireSettings;
  readonly clock: Clock;
  /** The error for when its time is over. */
  readonly timeout: () => unknown;
  /** It has gone, and was told why. */
  readonly onGone: (caller: Caller) => void;
}

/** One caller who waits for a lock, until it gets it or goes. */
export class Caller {
  readonly wanted: AcquireSettings;
  readonly sinceMs: number;
  readonly promise: Promise<HeldLock>;
  /** It was reported that it waits. */
  saidWaiting = false;
  readonly #patience: Patience;
  #resolve!: (lock: HeldLock) => void;
  #reject!: (error: unknown) => void;

  constructor({ wanted, clock, timeout, onGone }: CallerParts) {
    this.wanted = wanted;
    this.sinceMs = clock.nowMs();
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const { signal, waitMs } = wanted;
    this.#patience = new Patience({
      ...{ clock, signal, waitMs, timeout },
      onOver: (error) => {
        this.#reject(error);
        onGone(this);
      },
    });
  }

  grant(lock: HeldLock): void {
    this.#patience.end();
    this.#resolve(lock);
  }

  fail(error: unknown): void {
    this.#patience.exhaust(error);
  }
}
