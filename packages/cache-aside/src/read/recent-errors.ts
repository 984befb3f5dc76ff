import type { Clock } from '@redcache/core';

/** Beyond as many keys the oldest is forgotten. */
const MOST_KEYS = 1_000;

/** What loaders failed with a short while ago, for whoever asks for the same before it is over. */
export class RecentErrors {
  readonly #clock: Clock;
  readonly #errors = new Map<string, { readonly error: unknown; readonly untilMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(key: string, error: unknown, forMs: number): void {
    if (forMs === 0) return;
    this.#errors.delete(key);
    this.#errors.set(key, { error, untilMs: this.#clock.nowMs() + forMs });
    if (this.#errors.size <= MOST_KEYS) return;
    for (const [oldest] of this.#errors) {
      this.#errors.delete(oldest);
      return;
    }
  }

  find(key: string): { readonly error: unknown } | undefined {
    if (this.#errors.size === 0) return undefined;
    const found = this.#errors.get(key);
    if (found === undefined || this.#clock.nowMs() < found.untilMs) return found;
    this.#errors.delete(key);
    return undefined;
  }

  forget(key: string): void {
    this.#errors.delete(key);
  }
}
