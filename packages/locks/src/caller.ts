import type { Clock } from '@redcache/core';
import type { Queued } from '@redcache/core/toolkit';
import type { HeldLock } from './lock.ts';
import type { AcquireSettings } from './options.ts';
import { Patience } from './patience.ts';

/** Where a caller waits. */
export interface WaitingPlace {
  /** The error for one that has waited for as long as that. */
  timeout(limit: string): unknown;
  /** It has gone, and was told why. */
  onGone(caller: Caller): void;
}

/** One caller who waits for a lock, until it gets it or goes. */
export class Caller implements Queued {
  before: this | undefined;
  after: this | undefined;
  readonly wanted: AcquireSettings;
  readonly sinceMs: number;
  readonly promise: Promise<HeldLock>;
  /** It was reported that it waits. */
  saidWaiting = false;
  isServed = false;
  /** None for one that waits for ever. */
  readonly #patience: Patience | undefined;
  readonly #place: WaitingPlace;
  #resolve!: (lock: HeldLock) => void;
  #reject!: (error: unknown) => void;

  constructor(wanted: AcquireSettings, clock: Clock, place: WaitingPlace) {
    this.wanted = wanted;
    this.sinceMs = clock.nowMs();
    this.#place = place;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const { signal, waitMs } = wanted;
    if (signal === undefined && waitMs === undefined) return;
    this.#patience = new Patience({
      ...{ clock, signal, waitMs },
      timeout: () => place.timeout(`${waitMs} ms`),
      onOver: (error) => this.#go(error),
    });
  }

  grant(lock: HeldLock): void {
    this.isServed = true;
    this.#patience?.end();
    this.#resolve(lock);
  }

  fail(error: unknown): void {
    if (this.isServed) return;
    if (this.#patience === undefined) this.#go(error);
    else this.#patience.exhaust(error);
  }

  #go(error: unknown): void {
    this.isServed = true;
    this.#reject(error);
    this.#place.onGone(this);
  }
}
