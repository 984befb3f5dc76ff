interface Link<T> {
  readonly item: T;
  before: Link<T> | undefined;
  after: Link<T> | undefined;
}

/** First in, first out; whoever has gone from the middle costs nothing. */
export class Queue<T> {
  readonly #links = new Map<T, Link<T>>();
  #head: Link<T> | undefined;
  #tail: Link<T> | undefined;

  get size(): number {
    return this.#links.size;
  }

  get first(): T | undefined {
    return this.#head?.item;
  }

  /** To the end. An item stands here once. */
  push(item: T): void {
    const link: Link<T> = { item, before: this.#tail, after: undefined };
    this.#links.set(item, link);
    if (this.#tail === undefined) this.#head = link;
    else this.#tail.after = link;
    this.#tail = link;
  }

  /** Answers whether it stood here. */
  remove(item: T): boolean {
    const link = this.#links.get(item);
    if (link === undefined) return false;
    this.#links.delete(item);
    if (link.before === undefined) this.#head = link.after;
    else link.before.after = link.after;
    if (link.after === undefined) this.#tail = link.before;
    else link.after.before = link.before;
    return true;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let link = this.#head; link !== undefined; link = link.after) yield link.item;
  }
}
