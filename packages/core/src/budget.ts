import type { Clock, Timer } from './clock.ts';
import { setPatientTimer } from './patient-timer.ts';
import { Queue, type Queued } from './queue.ts';

/** What {@link Budget.bound} answers when time ran out first. */
export const TIMED_OUT: unique symbol = Symbol('timed out');

interface Waiting extends Queued {
  readonly deadlineAtMs: number;
  readonly end: () => void;
  before: this | undefined;
  after: this | undefined;
}

/**
 * Bounds how long callers wait for commands already on the wire, which node-redis never does for a
 * connection that hangs. All waits of a budget are equally long, so they end in the order in which
 * they began: one timer serves them all, instead of one for each command.
 */
export class Budget {
  readonly budgetMs: number;
  readonly #clock: Clock;
  readonly #waiting = new Queue<Waiting>();
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
    if (this.#waiting.first === undefined) return Promise.resolve();
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
        before: undefined,
        after: undefined,
      };
      this.#waiting.push(waiting);
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
    // It may have left already, when its time was over.
    if (!this.#waiting.remove(waiting) || this.#waiting.first !== undefined) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#settle();
  }

  /** The timer stays where it is when the first wait ends well: firing early costs less than moving it. */
  #arm(): void {
    if (this.#timer !== undefined) return;
    const { first } = this.#waiting;
    if (first === undefined) return;
    const delayMs = Math.max(0, first.deadlineAtMs - this.#clock.nowMs());
    this.#timer = setPatientTimer(this.#clock, delayMs, () => this.#fire());
  }

  #fire(): void {
    this.#timer = undefined;
    this.#expire();
    this.#arm();
    if (this.#waiting.first === undefined) this.#settle();
  }

  #settle(): void {
    for (const resolve of this.#onSettled.splice(0)) resolve();
  }

  #expire(): void {
    const nowMs = this.#clock.nowMs();
    const queue = this.#waiting;
    for (let waiting = queue.first; waiting !== undefined; waiting = queue.first) {
      if (waiting.deadlineAtMs > nowMs) return;
      queue.remove(waiting);
      waiting.end();
    }
  }
}
