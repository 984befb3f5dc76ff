/** What stands in a {@link Queue}, in one at a time, which alone sees to these. */
export interface Queued {
  before?: this | undefined;
  after?: this | undefined;
}

/**
 * First in, first out; whoever goes from the middle costs nothing. Those who stand in it are linked to
 * each other, since a map that fills and empties all the time would be made anew each time.
 */
export class Queue<T extends Queued> {
  #first: T | undefined;
  #last: T | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): T | undefined {
    return this.#first;
  }

  /** To the end. An item stands here once. */
  push(item: T): void {
    item.before = this.#last;
    if (this.#last === undefined) this.#first = item;
    else this.#last.after = item;
    this.#last = item;
    this.#size += 1;
  }

  /** Answers whether it stood here. */
  remove(item: T): boolean {
    const { before, after } = item;
    if (before === undefined && this.#first !== item) return false;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    // Whoever keeps one that has left keeps none of the others.
    item.before = undefined;
    item.after = undefined;
    this.#size -= 1;
    return true;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let item = this.#first; item !== undefined; ) {
      const next: T | undefined = item.after;
      yield item;
      item = next;
    }
  }
}
