import type { Clock } from '@redcache/core';

/**
 * Where somebody sleeps until something happens. What happens while he is awake is kept, so that
 * nothing between two sleeps is missed; of several the weightiest, since one look answers them all.
 */
export class Wake<Cause> {
  readonly #clock: Clock;
  readonly #weigh: (cause: Cause) => number;
  #kept: Cause | undefined;
  #wakeSleeper: ((cause: Cause) => void) | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(clock: Clock, weigh: (cause: Cause) => number = () => 0) {
    this.#clock = clock;
    this.#weigh = weigh;
  }

  wake(cause: Cause): void {
    const wakeSleeper = this.#wakeSleeper;
    this.end();
    if (wakeSleeper !== undefined) wakeSleeper(cause);
    else if (this.#kept === undefined || this.#weigh(cause) > this.#weigh(this.#kept))
      this.#kept = cause;
  }

  /** What has happened so far is about to be looked at; or this alone was nothing. */
  forget(cause?: Cause): void {
    if (cause === undefined || this.#kept === cause) this.#kept = undefined;
  }

  /** Resolves with what happens, or has happened since {@link forget} or the last sleep. */
  sleep(timeout?: { readonly afterMs: number; readonly cause: Cause }): Promise<Cause> {
    const kept = this.#kept;
    this.#kept = undefined;
    if (kept !== undefined) return Promise.resolve(kept);
    return new Promise((resolve) => {
      this.#wakeSleeper = resolve;
      if (timeout === undefined) return;
      const timer = this.#clock.setTimer(timeout.afterMs, () => this.wake(timeout.cause));
      this.#cancelTimer = () => timer.cancel();
    });
  }

  /** Nobody waits for this sleep any more. */
  end(): void {
    this.#wakeSleeper = undefined;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }
}
