/** So often it is renewed: less than a young generation holds, and dear only once in so many times. */
const RENEWED_AFTER = 200;

/**
 * A map of what is under way: little at a time, but something new with every command.
 *
 * V8 lets each table that a map outgrows point to the next one. Once the collector has taken one of
 * them for old, all later tables and what was in them stay until a full collection, and are copied
 * on the way there. So this map begins anew now and then, with what is in it.
 */
export class ShortLivedMap<K, V> {
  #map = new Map<K, V>();
  #added = 0;

  get size(): number {
    return this.#map.size;
  }

  get(key: K): V | undefined {
    return this.#map.get(key);
  }

  has(key: K): boolean {
    return this.#map.has(key);
  }

  set(key: K, value: V): void {
    this.#added += 1;
    // In proportion to what is in it, so that the copies never cost more than what is added.
    if (this.#added > RENEWED_AFTER && this.#added > this.#map.size) {
      this.#added = 0;
      this.#map = new Map(this.#map);
    }
    this.#map.set(key, value);
  }

  delete(key: K): boolean {
    return this.#map.delete(key);
  }

  keys(): readonly K[] {
    return [...this.#map.keys()];
  }

  /** A copy of what is in it now. */
  values(): readonly V[] {
    return [...this.#map.values()];
  }
}
