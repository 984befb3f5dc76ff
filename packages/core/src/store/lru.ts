import { LRUCache } from 'lru-cache';
import type { Entry } from './entry.ts';

/** Why an entry left the store. */
export type EvictionCause = 'size' | 'ttl' | 'invalidation' | 'flush' | 'own-write';

export interface StoreBounds {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** What every entry is counted with beside its key and its value, as users are told. */
const OVERHEAD_BYTES = 100;

/**
 * Bounded recency of local copies, and which of them depend on which Redis key. Knows neither
 * Redis nor time.
 *
 * Most entries are the value of one key, filed under that very key; others (replies of commands)
 * have an id of their own and are found through `#dependents`.
 */
export class LruStore {
  readonly #lru: LRUCache<string, Entry>;
  readonly #dependents = new Map<string, string | Set<string>>();
  readonly #onEvicted: (cause: EvictionCause) => void;
  #cause: EvictionCause = 'size';

  constructor(bounds: StoreBounds, onEvicted: (cause: EvictionCause) => void) {
    this.#onEvicted = onEvicted;
    this.#lru = new LRUCache<string, Entry>({
      max: bounds.maxEntries,
      maxSize: bounds.maxBytes,
      dispose: (entry, id, reason) => {
        this.#forget(id, entry.keys);
        if (reason !== 'set') this.#onEvicted(this.#cause);
      },
    });
  }

  get entries(): number {
    return this.#lru.size;
  }

  get bytes(): number {
    return this.#lru.calculatedSize;
  }

  get indexedKeys(): number {
    return this.#dependents.size;
  }

  get(id: string): Entry | undefined {
    return this.#lru.get(id);
  }

  /** `valueBytes`: the value alone. An entry larger than the whole bound is not kept. */
  set(id: string, entry: Entry, valueBytes: number): void {
    this.#lru.set(id, entry, { size: id.length + valueBytes + OVERHEAD_BYTES });
    if (this.#lru.peek(id) !== entry) return;
    for (const key of entry.keys) if (key !== id) this.#remember(key, id);
  }

  delete(id: string, cause: EvictionCause): void {
    this.#because(cause, () => this.#lru.delete(id));
  }

  /**
   * Drops what was read from `key`, but for an entry that still expects the echo of its own write.
   * Answers how many were dropped.
   */
  invalidate(key: string, cause: 'invalidation' | 'own-write'): number {
    let dropped = this.#invalidateEntry(key, key, cause);
    const ids = this.#dependents.get(key);
    if (ids === undefined) return dropped;
    // A copy, since dropping an entry takes its id out of the set.
    for (const id of typeof ids === 'string' ? [ids] : [...ids])
      dropped += this.#invalidateEntry(id, key, cause);
    return dropped;
  }

  clear(): number {
    const dropped = this.#lru.size;
    this.#because('flush', () => this.#lru.clear());
    return dropped;
  }

  *[Symbol.iterator](): Generator<[id: string, entry: Entry]> {
    yield* this.#lru.entries() as Iterable<[string, Entry]>;
  }

  /** The ids that a push of `key` reaches beside the entry filed under the key itself. */
  dependentsOf(key: string): readonly string[] {
    const ids = this.#dependents.get(key);
    return ids === undefined ? [] : typeof ids === 'string' ? [ids] : [...ids];
  }

  #invalidateEntry(id: string, key: string, cause: 'invalidation' | 'own-write'): number {
    const entry = this.#lru.peek(id);
    if (entry === undefined || !entry.keys.includes(key)) return 0;
    if (cause === 'invalidation' && entry.echoes > 0) {
      entry.echoes -= 1;
      return 0;
    }
    this.delete(id, cause);
    return 1;
  }

  #because(cause: EvictionCause, run: () => void): void {
    this.#cause = cause;
    try {
      run();
    } finally {
      this.#cause = 'size';
    }
  }

  #remember(key: string, id: string): void {
    const ids = this.#dependents.get(key);
    if (ids === undefined || ids === id) this.#dependents.set(key, id);
    else if (typeof ids === 'string') this.#dependents.set(key, new Set([ids, id]));
    else ids.add(id);
  }

  #forget(id: string, keys: readonly string[]): void {
    for (const key of keys) {
      const ids = this.#dependents.get(key);
      if (ids === id) this.#dependents.delete(key);
      else if (typeof ids === 'object' && ids.delete(id) && ids.size === 0)
        this.#dependents.delete(key);
    }
  }
}
