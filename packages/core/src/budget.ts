import type { Clock, Timer } from './clock.ts';
import { setPatientTimer } from './patient-timer.ts';
import { Queue, type Queued } from './queue.ts';

/** What {@link Budget.bound} answers when time ran out first. */
export const TIMED_OUT: unique symbol = Symbol('timed out');

/** What is made of the end of a wait. One may serve any number of waits. */
export interface Ending {
  /** The promise was kept, in time or late. */
  answered?(): void;
  /** It was broken in time. Answers what the wait rejects with. */
  failed?(cause: unknown): unknown;
  /** Time ran out first. Answers what the wait rejects with. */
  timedOut(): unknown;
}

/** One object for all that there is to know of a wait: there is one for each command. */
class Waiting implements Queued {
  readonly deadlineAtMs: number;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
  readonly ending: Ending | undefined;
  before: this | undefined = undefined;
  after: this | undefined = undefined;

  constructor(
    deadlineAtMs: number,
    resolve: (value: never) => void,
    reject: (error: unknown) => void,
    ending: Ending | undefined,
  ) {
    this.deadlineAtMs = deadlineAtMs;
    this.resolve = resolve;
    this.reject = reject;
    this.ending = ending;
  }

  timedOut(): void {
    if (this.ending === undefined) this.resolve(TIMED_OUT as never);
    else this.reject(this.ending.timedOut());
  }
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
    return this.#bound<T | typeof TIMED_OUT>(promise, undefined);
  }

  /** As {@link bound}, but rejects when time has run out, and with what `ending` makes of it. */
  require<T>(promise: Promise<T>, ending: Ending): Promise<T> {
    return this.#bound(promise, ending);
  }

  /** Resolves when nothing is waited for, each by its answer or by the budget. */
  settled(): Promise<void> {
    if (this.#waiting.first === undefined) return Promise.resolve();
    return new Promise((resolve) => this.#onSettled.push(resolve));
  }

  #bound<T>(promise: Promise<T>, ending: Ending | undefined): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const deadlineAtMs = this.#clock.nowMs() + this.budgetMs;
      const waiting = new Waiting(deadlineAtMs, resolve as (value: never) => void, reject, ending);
      this.#waiting.push(waiting);
      if (this.#timer === undefined) this.#arm();
      promise.then(
        (value) => {
          this.#leave(waiting);
          ending?.answered?.();
          resolve(value);
        },
        (cause: unknown) => {
          if (!this.#leave(waiting)) return;
          reject(ending?.failed === undefined ? cause : ending.failed(cause));
        },
      );
    });
  }

  /** Answers whether its time was not over yet. */
  #leave(waiting: Waiting): boolean {
    if (!this.#waiting.remove(waiting)) return false;
    if (this.#waiting.first === undefined) {
      this.#timer?.cancel();
      this.#timer = undefined;
      this.#settle();
    }
    return true;
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
      waiting.timedOut();
    }
  }
}
