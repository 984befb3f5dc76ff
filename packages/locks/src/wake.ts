import type { Clock } from '@redcache/core';

/**
 * Where one caller sleeps until something happens. What happens while it is awake is kept, so that
 * nothing between two sleeps is missed; only the first counts, since one look answers them all.
 */
export class Wake<Cause> {
  readonly #clock: Clock;
  #kept: Cause | undefined;
  #wakeSleeper: ((cause: Cause) => void) | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  wake(cause: Cause): void {
    const wakeSleeper = this.#wakeSleeper;
    this.end();
    if (wakeSleeper === undefined) this.#kept ??= cause;
    else wakeSleeper(cause);
  }

  /** What has happened so far is about to be looked at. */
  forget(): void {
    this.#kept = undefined;
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
