/**
 * What was not used among as many others is forgotten, at the latest among twice as many. As many as there
 * are local copies by default: where fewer are remembered than are used in turn, all are put together anew.
 */
const GENERATION = 10_000;
/** Longer keys would hold too much memory. */
const MOST_CHARACTERS = 256;

/**
 * The keys that names, or ids, were found to have. A key that is put together anew each time is
 * flattened and hashed anew as well, which costs more than all the rest of a local hit.
 *
 * Two generations: what is used of the elder one moves to the younger one.
 */
export class KeyMemo<From> {
  #young = new Map<From, string>();
  #old = new Map<From, string>();

  find(from: From): string | undefined {
    return this.#young.get(from) ?? this.#findOld(from);
  }

  keep(from: From, key: string): void {
    if (key.length > MOST_CHARACTERS) return;
    if (this.#young.size >= GENERATION) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(from, key);
  }

  #findOld(from: From): string | undefined {
    const key = this.#old.get(from);
    if (key !== undefined) this.keep(from, key);
    return key;
  }
}
