import { type Clock, UnavailableError } from '@redcache/core';
import { type Ending, isServerError } from '@redcache/core/toolkit';
import { Breaker } from './breaker.ts';

/**
 * What is asked of one server: tells its breaker how each question ends, and says why there is no
 * answer. One for all questions, which make nothing of their own for it.
 */
export class Line implements Ending {
  readonly breaker: Breaker = new Breaker();
  readonly #clock: Clock;
  readonly #budgetMs: number;

  constructor(clock: Clock, budgetMs: number) {
    this.#clock = clock;
    this.#budgetMs = budgetMs;
  }

  /** Late ones count: many may have waited for one slow moment, which is over with the first of them. */
  answered(): void {
    this.breaker.answered();
  }

  failed(cause: unknown): UnavailableError {
    const refused = isServerError(cause);
    if (refused) this.breaker.answered();
    const what = refused ? `Redis refused: ${cause.message}` : 'Redis did not answer';
    return new UnavailableError(what, { cause });
  }

  timedOut(): UnavailableError {
    this.breaker.timedOut(this.#clock.nowMs());
    return new UnavailableError(`Redis did not answer within ${this.#budgetMs} ms`);
  }
}
