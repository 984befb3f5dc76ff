import type { EvictionPolicy, Ranked } from '../policy.ts';

/**
 * The soonest to expire leaves first, exactly; of equals, the one filed first. Hits change nothing.
 *
 * A binary heap on `deadlineAtMs` in which every entry knows its place (`rank`): adding and removing
 * take O(log n) steps, the victim is at the top. `uses` is the number of the filing, for equals.
 */
export class TtlPolicy<E extends Ranked> implements EvictionPolicy<E> {
  #heap: E[] = [];
  #filed = 0;

  add(entry: E): void {
    entry.uses = this.#filed;
    this.#filed += 1;
    this.#rise(entry, this.#heap.length);
  }

  touch(): void {}

  remove(entry: E): void {
    const place = entry.rank;
    if (this.#heap[place] !== entry) return;
    const last = this.#heap.pop() as E;
    if (last === entry) return;
    const parent = this.#heap[parentOf(place)];
    if (place > 0 && parent !== undefined && isBefore(last, parent)) this.#rise(last, place);
    else this.#sink(last, place);
  }

  victim(): E | undefined {
    return this.#heap[0];
  }

  clear(): void {
    this.#heap = [];
    this.#filed = 0;
  }

  /** Puts the entry at `place`, which is free, or at a place above it where it belongs. */
  #rise(entry: E, place: number): void {
    let free = place;
    while (free > 0) {
      const above = parentOf(free);
      const parent = this.#heap[above] as E;
      if (!isBefore(entry, parent)) break;
      this.#put(parent, free);
      free = above;
    }
    this.#put(entry, free);
  }

  /** Puts the entry at `place`, which is free, or at a place below it where it belongs. */
  #sink(entry: E, place: number): void {
    let free = place;
    for (;;) {
      let below = 2 * free + 1;
      let child = this.#heap[below];
      if (child === undefined) break;
      const other = this.#heap[below + 1];
      if (other !== undefined && isBefore(other, child)) {
        child = other;
        below += 1;
      }
      if (!isBefore(child, entry)) break;
      this.#put(child, free);
      free = below;
    }
    this.#put(entry, free);
  }

  #put(entry: E, place: number): void {
    this.#heap[place] = entry;
    entry.rank = place;
  }
}

const parentOf = (place: number): number => (place - 1) >> 1;

function isBefore(one: Ranked, other: Ranked): boolean {
  if (one.deadlineAtMs !== other.deadlineAtMs) return one.deadlineAtMs < other.deadlineAtMs;
  return one.uses < other.uses;
}
