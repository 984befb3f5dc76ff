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
  readonly #onSettled: (() => void)[] = [];

  constructor(clock: Clock, budgetMs: number) {
    this.#clock = clock;
    this.budgetMs = budgetMs;
  }

  /**
   * Settles as `promise` does, or with {@link TIMED_OUT} after the budget. The promise itself goes
   * on; if it rejects later nobody is told.
   */
  bound<T>(promise: Promise<T>): Promise<T | typeof TIMED_OUT> {
    return this.#bound<T | typeof TIMED_OUT>(promise, (resolve) => resolve(TIMED_OUT));
  }

  /** As {@link bound}, but rejects with what `error` makes. */
  require<T>(promise: Promise<T>, error: () => unknown): Promise<T> {
    return this.#bound(promise, (_resolve, reject) => reject(error()));
  }

  /** Resolves when nothing is waited for, each by its answer or by the budget. */
  settled(): Promise<void> {
    if (this.#first === undefined) return Promise.resolve();
    return new Promise((resolve) => this.#onSettled.push(resolve));
  }

  #bound<T>(
    promise: Promise<T>,
    end: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        deadlineAtMs: this.#clock.nowMs() + this.budgetMs,
        end: () => end(resolve, reject),
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
    this.#settle();
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
    if (this.#first === undefined) this.#settle();
  }

  #settle(): void {
    for (const resolve of this.#onSettled.splice(0)) resolve();
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
