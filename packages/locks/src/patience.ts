import type { Clock, Timer } from '@redcache/core';
import { setPatientTimer } from '@redcache/core/toolkit';
import { onAbort } from './abort.ts';

export interface PatienceOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
  /** Without it there is no limit. */
  readonly waitMs: number | undefined;
  /** The error for when that time is over. */
  readonly timeout: () => unknown;
  /** Called once, with what the caller is to be told; not if it is over from the start. */
  readonly onOver: (error: unknown) => void;
}

/**
 * How long a caller waits: until its own time is over, its signal aborts, or somebody ends it. What
 * Redis had said by then counts, also if the process was stopped and reads it later; whether a lock
 * that it gave still stands is up to its lease.
 */
export class Patience {
  readonly #stopSignal: (() => void) | undefined;
  readonly #timer: Timer | undefined;
  readonly #onOver: (error: unknown) => void;
  #isOver = false;

  constructor({ clock, signal, waitMs, timeout, onOver }: PatienceOptions) {
    this.#onOver = onOver;
    if (signal !== undefined) this.#stopSignal = onAbort(signal, () => this.exhaust(signal.reason));
    if (waitMs !== undefined)
      this.#timer = setPatientTimer(clock, waitMs, () => this.exhaust(timeout()));
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The first reason counts. */
  exhaust(error: unknown): void {
    if (this.#isOver) return;
    this.end();
    this.#onOver(error);
  }

  /** Takes back timer and listener: it ends no more by itself. */
  end(): void {
    this.#isOver = true;
    this.#timer?.cancel(); // guard: I14
    this.#stopSignal?.();
  }
}
