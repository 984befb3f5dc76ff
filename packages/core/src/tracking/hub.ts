import { callSafely, type FlushCause, publish } from '../channels.ts';
import { ShortLivedMap } from '../short-lived-map.ts';
import type { Guards, Line } from '../store/guard.ts';
import type { Source } from '../store/source.ts';
import type { Store } from '../store/store.ts';

/** What a listener of a key is told. `disconnect`: the key may have changed, and nobody will say. */
export type WakeCause = 'push' | 'flush' | 'disconnect' | 'close';
export type InvalidationListener = (cause: WakeCause) => void;
/** `line`: the connection that pushed it, if it is known. */
type Told = (cause: WakeCause, line: Line | undefined) => void;

/**
 * The one fan-out of the system. An invalidation reaches the store and the open guards first, the
 * waiters second, so that nobody it wakes can still read the old entry (I5).
 */
export class Hub {
  readonly #store: Store;
  readonly #guards: Guards;
  /** Nearly always there is one for a key, which then costs no set. */
  readonly #listeners = new ShortLivedMap<string, Told | Set<Told>>();

  constructor(store: Store, guards: Guards) {
    this.#store = store;
    this.#guards = guards;
  }

  get listenedKeys(): number {
    return this.#listeners.size;
  }

  listen(key: string, listener: Told): () => void {
    // A function of its own, so that the same listener given twice is told twice and removed once.
    const told: Told = (cause, line) => listener(cause, line);
    const others = this.#listeners.get(key);
    if (others === undefined) this.#listeners.set(key, told);
    else if (others instanceof Set) others.add(told);
    else this.#listeners.set(key, new Set([others, told]));
    return () => {
      const all = this.#listeners.get(key);
      if (all === told) this.#listeners.delete(key);
      else if (all instanceof Set && all.delete(told) && all.size === 0)
        this.#listeners.delete(key);
    };
  }

  /**
   * These keys changed. All of them are dropped before the first waiter of any of them runs.
   * `line`: the connection that said so, if it is known: echoes of own writes come on theirs alone.
   */
  invalidate(keys: readonly string[], line?: Line): void {
    for (const key of keys) {
      const entries = this.#store.invalidate(key, 'invalidation', line?.source); // guard: I1
      this.#guards.push(key, line); // guard: I1, I2
      publish('redcache:invalidation', () => ({ key, entries }));
    }
    for (const key of keys) this.#wake(key, 'push', line);
  }

  /** Everything may have changed, or nobody would tell us if it did. */
  flush(cause: Exclude<FlushCause, 'disconnect'>): void {
    const entries = this.#store.clear(cause === 'own-write' ? 'own-write' : 'flush');
    this.#guards.severAll(); // guard: I2
    publish('redcache:flush', () => ({ cause, entries }));
    // A user's clear() says nothing about the server, so those who wait for it go on waiting.
    if (cause === 'clear') return;
    this.#wakeAll(cause === 'own-write' ? 'flush' : cause);
  }

  /**
   * One connection is gone: what was read there may change unheard. `areSuspects`: it may still be right,
   * for all that anybody knows until another one stands.
   */
  lose(source: Source, areSuspects: boolean): void {
    const entries = areSuspects ? this.#store.suspect(source) : this.#store.lose(source); // guard: T2
    this.#guards.severFrom(source); // guard: I2, T2
    publish('redcache:flush', () => ({ cause: 'disconnect', entries }));
    this.#wakeAll('disconnect');
  }

  /** A write of ours to these keys was just sent, or just answered (I6). */
  wrote(keys: readonly string[]): void {
    for (const key of keys) {
      this.#store.invalidate(key, 'own-write'); // guard: I6
      this.#guards.sever(key); // guard: I6
    }
  }

  #wakeAll(cause: WakeCause): void {
    for (const key of this.#listeners.keys()) this.#wake(key, cause);
  }

  #wake(key: string, cause: WakeCause, line?: Line): void {
    const listeners = this.#listeners.get(key);
    if (listeners === undefined) return;
    if (!(listeners instanceof Set)) {
      callSafely('onInvalidation', () => listeners(cause, line));
      return;
    }
    for (const listener of [...listeners])
      callSafely('onInvalidation', () => {
        // One that an earlier listener has just removed is not told any more.
        if (listeners.has(listener)) listener(cause, line);
      });
  }
}
