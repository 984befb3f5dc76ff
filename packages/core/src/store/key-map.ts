/** A table of so many keys is copied in some milliseconds. */
const SPLIT_ABOVE = 65_536;
/** A power of two. A million keys are some 16 000 in each. */
const PARTS = 64;
/** At most so many characters of a key decide on its part, however long it is. */
const MOST_CHARACTERS = 128;

/**
 * A map by key that does not block its process when there are many.
 *
 * V8 copies the table of a map as a whole when it is full or nearly empty: with a million keys that
 * is a tenth of a second, and a third of that on the way back. So a large map is one of many parts,
 * each with a table of its own.
 */
export class KeyMap<V> {
  #whole = new Map<string, V>();
  /** As long as it is in parts; then nothing is in the whole. */
  #parts: readonly Map<string, V>[] | undefined;
  #sizeInParts = 0;

  get size(): number {
    return this.#parts === undefined ? this.#whole.size : this.#sizeInParts;
  }

  get(key: string): V | undefined {
    return (this.#parts === undefined ? this.#whole : partOf(this.#parts, key)).get(key);
  }

  set(key: string, value: V): void {
    if (this.#parts === undefined) {
      this.#whole.set(key, value);
      if (this.#whole.size > SPLIT_ABOVE) this.#split();
      return;
    }
    const part = partOf(this.#parts, key);
    const before = part.size;
    part.set(key, value);
    this.#sizeInParts += part.size - before;
  }

  delete(key: string): boolean {
    if (this.#parts === undefined) return this.#whole.delete(key);
    if (!partOf(this.#parts, key).delete(key)) return false;
    this.#sizeInParts -= 1;
    if (this.#sizeInParts === 0) this.#parts = undefined;
    return true;
  }

  /**
   * What is added meanwhile may come or not, and what is removed does not. Ends early when the map
   * falls into parts meanwhile.
   */
  *values(): Generator<V> {
    for (const part of this.#parts ?? [this.#whole]) yield* part.values();
  }

  #split(): void {
    const parts = Array.from({ length: PARTS }, () => new Map<string, V>());
    for (const [key, value] of this.#whole) partOf(parts, key).set(key, value);
    this.#parts = parts;
    this.#sizeInParts = this.#whole.size;
    // Whoever goes through it must not come upon what may have left by then.
    this.#whole.clear(); // guard: I12
  }
}

const partOf = <V>(parts: readonly Map<string, V>[], key: string): Map<string, V> =>
  parts[partNumber(key)] as Map<string, V>;

/** By characters from all over the key, as Lua hashes long strings. @internal */
export function partNumber(key: string): number {
  const step = 1 + Math.floor(key.length / MOST_CHARACTERS);
  let hash = key.length;
  for (let i = key.length - 1; i >= 0; i -= step) hash = (hash * 31 + key.charCodeAt(i)) | 0;
  return (hash ^ (hash >>> 16)) & (PARTS - 1);
}
