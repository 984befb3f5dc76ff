import type { Clock, Timer } from '@redcache/core';
import { onAbort } from './abort.ts';

export interface PatienceOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
  /** Without it there is no limit. */
  readonly waitMs: number | undefined;
  /** The error for when that time is over. */
  readonly timeout: () => unknown;
}

/** `over`: the caller has gone, and this is what it is told. */
type State = { readonly is: 'waiting' } | { readonly is: 'over'; readonly error: unknown };

/** How long a caller waits: until its own time is over, its signal aborts, or the locks are closed. */
export class Patience {
  readonly #stopSignal: (() => void) | undefined;
  readonly #timer: Timer | undefined;
  #state: State = { is: 'waiting' };
  #onOver: (() => void) | undefined;

  constructor({ clock, signal, waitMs, timeout }: PatienceOptions) {
    if (signal?.aborted) this.#state = { is: 'over', error: signal.reason };
    else if (signal) this.#stopSignal = onAbort(signal, () => this.exhaust(signal.reason));
    if (waitMs !== undefined) this.#timer = clock.setTimer(waitMs, () => this.exhaust(timeout()));
  }

  /** The first reason counts. */
  exhaust(error: unknown): void {
    if (this.#state.is === 'over') return;
    this.#state = { is: 'over', error };
    this.#onOver?.();
  }

  get isOver(): boolean {
    return this.#state.is === 'over';
  }

  throwIfOver(): void {
    if (this.#state.is === 'over') throw this.#state.error;
  }

  /** Settles as the promise does, or rejects as soon as the caller has gone; the promise goes on. */
  orOver<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const rejectIfOver = (): void => {
        if (this.#state.is === 'over') reject(this.#state.error);
      };
      rejectIfOver();
      this.#onOver = rejectIfOver;
      promise.then(resolve, reject);
    });
  }

  /** Takes back timer and listener. */
  end(): void {
    this.#onOver = undefined;
    this.#timer?.cancel();
    this.#stopSignal?.();
  }
}
