import type { Clock, Timer } from '@redcache/core';
import type { Budget } from '@redcache/core/toolkit';

/** A lock that nobody uses any more but that may still stand in Redis. */
export interface Leftover {
  /** Rejects if that was not answered. */
  readonly giveBack: () => Promise<unknown>;
  /** How long it may still stand once there is a try to give it back. */
  readonly forMs: number;
}

/** Beyond as many at a time the others are tried once, and else end with their lease. */
const MAX_LEFTOVERS = 1_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

/**
 * Gives back, behind the scenes, what could not be given back in its time: the lock of a caller who
 * had gone when the answer came, a release that was not answered. Tries until the lease has ended.
 */
export class Releases {
  readonly #clock: Clock;
  readonly #budget: Budget;
  readonly #answers = new Set<Promise<unknown>>();
  readonly #releasing = new Set<Promise<void>>();
  readonly #pauses = new Map<Timer, () => void>();
  #state: 'open' | 'closing' | 'closed' = 'open';

  constructor(clock: Clock, budget: Budget) {
    this.#clock = clock;
    this.#budget = budget;
  }

  now(leftover: Leftover): void {
    if (this.#state === 'closed') return;
    // Those that can't be given back, to a server that hangs, keep none of another server's waiting.
    const isOver = this.#releasing.size >= MAX_LEFTOVERS;
    const releasing = this.#release(isOver ? { ...leftover, forMs: 0 } : leftover).finally(() =>
      this.#releasing.delete(releasing),
    );
    this.#releasing.add(releasing);
  }

  /** Waits for the answer that tells whether there is anything to give back: it may come late. */
  after(mayStand: Promise<boolean>, leftover: Leftover): void {
    if (this.#state === 'closed' || this.#answers.size >= MAX_LEFTOVERS) return;
    const answer = mayStand
      .then((stands) => {
        if (stands) this.now(leftover);
      })
      .finally(() => this.#answers.delete(answer));
    this.#answers.add(answer);
  }

  /**
   * Waits once more for answers that are due, gives back what they leave over, and ends.
   * Time: two budgets for unanswered commands at most.
   */
  async close(): Promise<void> {
    this.#state = 'closing';
    for (const [timer, resume] of this.#pauses) {
      timer.cancel();
      resume();
    }
    this.#pauses.clear();
    if (this.#answers.size > 0) await this.#budget.bound(Promise.all(this.#answers));
    this.#state = 'closed';
    await Promise.all(this.#releasing);
  }

  async #release({ giveBack, forMs }: Leftover): Promise<void> {
    const untilAtMs = this.#clock.nowMs() + forMs;
    let pauseMs = FIRST_PAUSE_MS;
    for (;;) {
      try {
        await giveBack();
        return;
      } catch {
        // Not sent, or nobody knows whether it ran: a repeat does no harm.
      }
      if (this.#state !== 'open' || this.#clock.nowMs() + pauseMs >= untilAtMs) return;
      await this.#pause(pauseMs);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(delayMs, () => {
        this.#pauses.delete(timer);
        resolve();
      });
      this.#pauses.set(timer, resolve);
    });
  }
}
