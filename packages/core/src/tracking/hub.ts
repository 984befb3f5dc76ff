import { callSafely, type FlushCause, publish } from '../channels.ts';
import type { Guards } from '../store/guard.ts';
import type { LruStore } from '../store/lru.ts';

/** What a listener of a key is told. `disconnect`: the key may have changed, and nobody will say. */
export type WakeCause = 'push' | 'flush' | 'disconnect' | 'close';
export type InvalidationListener = (cause: WakeCause) => void;

/**
 * The one fan-out of the system. An invalidation reaches the store and the open guards first, the
 * waiters second, so that nobody it wakes can still read the old entry (I5).
 */
export class Hub {
  readonly #store: LruStore;
  readonly #guards: Guards;
  readonly #listeners = new Map<string, Set<InvalidationListener>>();

  constructor(store: LruStore, guards: Guards) {
    this.#store = store;
    this.#guards = guards;
  }

  get listenedKeys(): number {
    return this.#listeners.size;
  }

  listen(key: string, listener: InvalidationListener): () => void {
    // A function of its own, so that the same listener given twice is told twice and removed once.
    const told: InvalidationListener = (cause) => listener(cause);
    const others = this.#listeners.get(key);
    if (others === undefined) this.#listeners.set(key, new Set([told]));
    else others.add(told);
    return () => {
      const all = this.#listeners.get(key);
      if (all?.delete(told) && all.size === 0) this.#listeners.delete(key);
    };
  }

  /** These keys changed. All of them are dropped before the first waiter of any of them runs. */
  invalidate(keys: readonly string[]): void {
    for (const key of keys) {
      const entries = this.#store.invalidate(key, 'invalidation');
      this.#guards.push(key);
      publish('redcache:invalidation', () => ({ key, entries }));
    }
    for (const key of keys) this.#wake(key, 'push');
  }

  /** Everything may have changed, or nobody would tell us if it did. */
  flush(cause: FlushCause): void {
    const entries = this.#store.clear();
    this.#guards.severAll();
    publish('redcache:flush', () => ({ cause, entries }));
    // A user's clear() says nothing about the server, so those who wait for it go on waiting.
    if (cause === 'clear') return;
    for (const key of [...this.#listeners.keys()]) this.#wake(key, cause);
  }

  #wake(key: string, cause: WakeCause): void {
    const listeners = this.#listeners.get(key);
    if (listeners === undefined) return;
    for (const listener of [...listeners])
      callSafely('onInvalidation', () => {
        // One that an earlier listener has just removed is not told any more.
        if (listeners.has(listener)) listener(cause);
      });
  }
}
