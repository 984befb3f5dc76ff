/** A table of so many keys is copied in a few milliseconds. */
const SPLIT_ABOVE = 65_536;
/** Keys that are moved with each that is set, so that the split does not block either. */
const MOVED_AT_ONCE = 64;
/** A power of two. A million keys are some 16 000 in each. */
const PARTS = 64;
/** At most so many characters of a key decide on its part, however long it is. */
const MOST_CHARACTERS = 128;

/**
 * A map by key that does not block its process when there are many.
 *
 * V8 copies the table of a map as a whole when it is full or nearly empty: with a million keys that
 * is a tenth of a second, and a third of that on the way back. So a large map is one of many parts,
 * each with a table of its own. It becomes that little by little: meanwhile keys are in either.
 */
export class KeyMap<V extends object> {
  #whole = new Map<string, V>();
  #parts: readonly Map<string, V>[] | undefined;
  #sizeOfParts = 0;
  /** What is still to be moved out of the whole. */
  #moving: Iterator<[string, V]> | undefined;

  get size(): number {
    return this.#whole.size + this.#sizeOfParts;
  }

  get(key: string): V | undefined {
    if (this.#parts === undefined) return this.#whole.get(key);
    const found = partOf(this.#parts, key).get(key);
    return found === undefined && this.#moving !== undefined ? this.#whole.get(key) : found;
  }

  set(key: string, value: V): void {
    if (this.#parts === undefined) {
      this.#whole.set(key, value);
      if (this.#whole.size > SPLIT_ABOVE) this.#beginParts();
      return;
    }
    if (this.#moving !== undefined) this.#whole.delete(key); // guard: I1
    this.#setInPart(this.#parts, key, value);
    if (this.#moving !== undefined) this.#moveSome(this.#parts, this.#moving);
  }

  delete(key: string): boolean {
    if (this.#parts === undefined) return this.#whole.delete(key);
    if (partOf(this.#parts, key).delete(key)) this.#sizeOfParts -= 1;
    else if (this.#moving === undefined || !this.#whole.delete(key)) return false;
    if (this.size === 0) {
      this.#parts = undefined;
      this.#moving = undefined;
    }
    return true;
  }

  /**
   * What is added meanwhile may come or not, and what is removed does not. What is moved meanwhile may
   * come twice.
   */
  *values(): Generator<V> {
    yield* this.#whole.values();
    for (const part of this.#parts ?? []) yield* part.values();
  }

  #beginParts(): void {
    this.#parts = Array.from({ length: PARTS }, () => new Map<string, V>());
    this.#moving = this.#whole.entries();
  }

  #moveSome(parts: readonly Map<string, V>[], moving: Iterator<[string, V]>): void {
    for (let i = 0; i < MOVED_AT_ONCE; i += 1) {
      const next = moving.next();
      if (next.done) {
        this.#moving = undefined;
        return;
      }
      const [key, value] = next.value;
      this.#whole.delete(key);
      this.#setInPart(parts, key, value);
    }
  }

  #setInPart(parts: readonly Map<string, V>[], key: string, value: V): void {
    const part = partOf(parts, key);
    const before = part.size;
    part.set(key, value);
    this.#sizeOfParts += part.size - before;
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
