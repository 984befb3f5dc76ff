import type { Ranked } from '../policy.ts';

/**
 * A doubly linked list whose links are fields of its members: nothing is allocated, and whoever
 * leaves takes the links along. A member is in one chain at a time.
 *
 * It is a ring that is closed by the chain's own {@link Chain.#root}: every change is one of
 * neighbours, so what is done to a member of a chain that was given up does not reach another one.
 */
export class Chain<E extends Ranked> {
  readonly #root: Ranked = new Root();

  get first(): E | undefined {
    const first = this.#root.next;
    return first === this.#root ? undefined : (first as E);
  }

  append(entry: E): void {
    const last = this.#root.prev as Ranked;
    entry.prev = last;
    entry.next = this.#root;
    last.next = entry;
    this.#root.prev = entry;
  }

  /** Harmless for an entry that is in no chain. */
  moveToEnd(entry: E): void {
    const { prev, next } = entry;
    if (prev === undefined || next === undefined || next === this.#root) return;
    prev.next = next;
    next.prev = prev;
    this.append(entry);
  }

  /** Answers whether the entry was in a chain. It keeps no link, or it would keep its old neighbours alive. */
  remove(entry: E): boolean {
    const { prev, next } = entry;
    if (prev === undefined || next === undefined) return false;
    prev.next = next;
    next.prev = prev;
    entry.prev = undefined;
    entry.next = undefined;
    return true;
  }

  /** Appends all members of another chain, which is empty then; the time does not depend on their number. */
  absorb(other: Chain<E>): void {
    const first = other.first;
    if (first === undefined) return;
    const end = other.#root.prev as Ranked;
    const last = this.#root.prev as Ranked;
    last.next = first;
    first.prev = last;
    end.next = this.#root;
    this.#root.prev = end;
    other.#root.next = other.#root;
    other.#root.prev = other.#root;
  }
}

/** Where a chain begins and ends. Of an empty one it is its own neighbour. */
class Root implements Ranked {
  prev: Ranked = this;
  next: Ranked = this;
  rank = 0;
  uses = 0;
  readonly deadlineAtMs = Number.POSITIVE_INFINITY;
}
