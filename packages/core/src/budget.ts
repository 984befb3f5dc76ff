import type { Clock, Timer } from './clock.ts';

/** What {@link Budget.bound} answers when time ran out first. */
export const TIMED_OUT: unique symbol = Symbol('timed out');

/**
 * Timers of a loop that was blocked run before it reads what has arrived meanwhile. One that is late
 * by more than this gives the loop as long again to do so, or every answer would count as none.
 */
const LATE_MS = 5;

interface Waiting {
  readonly deadlineAtMs: number;
  readonly end: () => void;
  before: Waiting | undefined;
  after: Waiting | undefined;
}

/**
 * Bounds how long callers wait for commands already on the wire, which node-redis never does for a
 * connection that hangs. All waits of a budget are equally long, so they end in the order in which
 * they began: one timer serves them all, instead of one for each command.
 */
export class Budget {
  readonly budgetMs: number;
  readonly #clock: Clock;
  /** The first of a list: a set that fills and empties all the time would be made anew each time. */
  #first: Waiting | undefined;
  #last: Waiting | undefined;
  #timer: Timer | undefined;

  constructor(clock: Clock, budgetMs: number) {
    this.#clock = clock;
    this.budgetMs = budgetMs;
  }

  /**
   * Settles as `promise` does, or with {@link TIMED_OUT} after the budget. The promise itself goes
   * on; if it rejects later nobody is told.
   */
  bound<T>(promise: Promise<T>): Promise<T | typeof TIMED_OUT> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        deadlineAtMs: this.#clock.nowMs() + this.budgetMs,
        end: () => resolve(TIMED_OUT),
        before: this.#last,
        after: undefined,
      };
      if (this.#last === undefined) this.#first = waiting;
      else this.#last.after = waiting;
      this.#last = waiting;
      this.#arm();
      promise.then(
        (value) => {
          this.#leave(waiting);
          resolve(value);
        },
        (error: unknown) => {
          this.#leave(waiting);
          reject(error);
        },
      );
    });
  }

  #leave(waiting: Waiting): void {
    // It has left already, when its time was over.
    if (waiting.before === undefined && this.#first !== waiting) return;
    this.#remove(waiting);
    if (this.#first !== undefined) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** The timer stays where it is when the first wait ends well: firing early costs less than moving it. */
  #arm(): void {
    if (this.#timer !== undefined) return;
    if (this.#first === undefined) return;
    const { deadlineAtMs } = this.#first;
    const delayMs = Math.max(0, deadlineAtMs - this.#clock.nowMs());
    this.#timer = this.#clock.setTimer(delayMs, () => {
      const isLate = this.#clock.nowMs() > deadlineAtMs + LATE_MS;
      if (isLate) this.#timer = this.#clock.setTimer(LATE_MS, () => this.#fire());
      else this.#fire();
    });
  }

  #fire(): void {
    this.#timer = undefined;
    this.#expire();
    this.#arm();
  }

  #expire(): void {
    const nowMs = this.#clock.nowMs();
    for (let waiting = this.#first; waiting !== undefined; waiting = this.#first) {
      if (waiting.deadlineAtMs > nowMs) return;
      this.#remove(waiting);
      waiting.end();
    }
  }

  #remove(waiting: Waiting): void {
    const { before, after } = waiting;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    // What is kept of it by its promise keeps none of the others.
    waiting.before = undefined;
    waiting.after = undefined;
  }
}
