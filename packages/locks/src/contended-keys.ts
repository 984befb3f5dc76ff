/** More are forgotten, the one that was seen first before the others. */
const MOST_KEYS = 1_000;

/** Keys of locks that other processes waited for when this one last had them. */
export class ContendedKeys {
  readonly #keys = new Set<string>();

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  note(key: string, isContended: boolean): void {
    if (!isContended) {
      // Nearly always there is none.
      if (this.#keys.size > 0) this.#keys.delete(key);
      return;
    }
    this.#keys.add(key);
    if (this.#keys.size <= MOST_KEYS) return;
    const [first] = this.#keys;
    this.#keys.delete(first as string);
  }
}
