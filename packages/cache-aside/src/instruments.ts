import { type Clock, ConfigError } from '@redcache/core';
import { callSafely } from '@redcache/core/toolkit';
import type { RefreshCause } from './refresh/refreshes.ts';

/**
 * Why a loader is called. `miss`: there was nothing. `aged`: what there was had aged too far to be
 * served at once. `asked`: by `refresh: true`. The others: behind a value that is served meanwhile.
 */
export type LoadCause = 'miss' | 'aged' | 'asked' | RefreshCause;

/** A call of a loader, for one key or by `loadMany` for several. */
export interface LoadFacts {
  /** As their users name them, without the namespace. */
  readonly keys: readonly string[];
  readonly cause: LoadCause;
  /** The name of the family that was asked; `undefined` for the cache itself. */
  readonly family: string | undefined;
}

/** What came of it. */
export interface LoadOutcome {
  readonly ms: number;
  /** There if it failed, took too long, or was ended since nobody waited any more. */
  readonly failure?: { readonly error: unknown };
}

/** A wait for the load of another process. `cause`: what ended it. */
export interface WaitFacts {
  readonly key: string;
  readonly cause: string;
  readonly ms: number;
  /** As in {@link LoadFacts}. */
  readonly family: string | undefined;
}

/**
 * Follows one cache, where channels tell of all caches of a process and can't reach into a load. What
 * it throws is reported on `redcache:callback-error` and changes nothing else.
 */
export interface Instrument {
  /**
   * A loader is about to be called, in the context of its caller. `run` calls it, and whatever is the
   * asynchronous context then is the loader's. Resolves when that has ended, and never rejects. It is
   * called anyway as soon as this answers.
   */
  readonly load?: (load: LoadFacts, run: () => Promise<LoadOutcome>) => void;
  readonly waited?: (wait: WaitFacts) => void;
}

/** Those who follow a cache. */
export class Instruments {
  readonly #clock: Clock;
  readonly #followers = new Set<{ readonly instrument: Instrument }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Answers a function that takes it away. Loads it was told of are followed to their end. */
  add(instrument: Instrument): () => void {
    const { load, waited } = Object(instrument) as Partial<Record<keyof Instrument, unknown>>;
    for (const each of [load, waited])
      if (each !== undefined && typeof each !== 'function')
        throw new ConfigError('instrument: load and waited must be functions');
    if (load === undefined && waited === undefined)
      throw new ConfigError('instrument: there is neither load nor waited');
    const follower = { instrument };
    this.#followers.add(follower);
    return () => void this.#followers.delete(follower);
  }

  /** Answers what `run` does, which is called once, whatever the instruments do. */
  load<T>(facts: () => LoadFacts, run: () => Promise<T>): Promise<T> {
    if (this.#followers.size === 0) return run();
    const startedAtMs = this.#clock.nowMs();
    let result: Promise<T> | undefined;
    let outcome: Promise<LoadOutcome> | undefined;
    const ms = (): number => this.#clock.nowMs() - startedAtMs;
    const start = (): Promise<LoadOutcome> => {
      result ??= run();
      outcome ??= result.then(
        () => ({ ms: ms() }),
        (error: unknown) => ({ ms: ms(), failure: { error } }),
      );
      return outcome;
    };
    const load = facts();
    let next = start;
    for (const { instrument } of this.#followers) {
      const inner = next;
      let told: Promise<LoadOutcome> | undefined;
      next = () => {
        if (told !== undefined) return told;
        callSafely('instrument', () => instrument.load?.(load, inner));
        told = inner();
        return told;
      };
    }
    void next();
    return result as unknown as Promise<T>;
  }

  waited(wait: () => WaitFacts): void {
    if (this.#followers.size === 0) return;
    const facts = wait();
    for (const { instrument } of this.#followers)
      callSafely('instrument', () => instrument.waited?.(facts));
  }
}
