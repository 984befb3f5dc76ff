import type { EvictionPolicy, Ranked } from '../policy.ts';
import { Chain } from './chain.ts';

/** Uses are counted up to this: a count in 4 bits, as TinyLFU has it, tells hot from cold. */
const MOST_USES = 15;

/** All counts are halved once per so many operations a member, as TinyLFU does after its sample. */
const OPERATIONS_A_MEMBER = 10;

/** One in so many members is new and safe: too few and nothing new can prove itself, too many and a scan has them. */
const MEMBERS_A_NEWCOMER = 10;

/** Instead of a generation, for an entry that is still a newcomer. */
const NEWCOMER = -1;

/**
 * The least often used of late leaves first; of equals, the one that has been there longest.
 *
 * Counts with ageing and a window for newcomers are those of Einziger, Friedman and Manes,
 * "TinyLFU: A Highly Efficient Cache Admission Policy" (ACM Transactions on Storage 13:4, 2017);
 * one list per count, so that every operation is O(1), is that of Shah, Mitra and Matani, "An O(1)
 * algorithm for implementing the LFU cache eviction scheme" (2010). Unlike TinyLFU it remembers
 * nothing of entries that have left. Exact: no sampling, no chance, no clock.
 *
 * - Newcomers, a tenth of the members, are not evicted: each has that long to be used again.
 *   Then it is filed by its count; one that was never used is then the first to leave, so a scan
 *   passes through without touching what is in use.
 * - All counts are halved once in a while, by a count of operations. What was hot long ago has the
 *   count 0 in the end and leaves before what is used now.
 *
 * Halving does not visit the members: a count is noted with the generation it is of (`uses`, `rank`)
 * and shifted when it is read, and the lists of two neighbouring counts are joined into one.
 */
export class LfuPolicy<E extends Ranked> implements EvictionPolicy<E> {
  /** From the oldest to the newest. */
  #newcomers: Chain<E> = new Chain();
  #byUses: readonly Chain<E>[] = chains();
  #members = 0;
  #newcomersCount = 0;
  #generation = 0;
  #operations = 0;

  add(entry: E): void {
    entry.rank = NEWCOMER;
    entry.uses = 0;
    this.#newcomers.append(entry);
    this.#members += 1;
    this.#newcomersCount += 1;
    this.#settleOldest();
    this.#count();
  }

  touch(entry: E): void {
    if (entry.rank === NEWCOMER) {
      if (entry.uses < MOST_USES) entry.uses += 1;
    } else {
      const uses = this.#usesOf(entry);
      if (uses < MOST_USES && this.#chainOf(uses).remove(entry)) this.#file(entry, uses + 1);
    }
    this.#count();
  }

  remove(entry: E): void {
    if (entry.rank === NEWCOMER) {
      if (!this.#newcomers.remove(entry)) return;
      this.#newcomersCount -= 1;
    } else if (!this.#chainOf(this.#usesOf(entry)).remove(entry)) return;
    this.#members -= 1;
  }

  victim(): E | undefined {
    for (const chain of this.#byUses) if (chain.first !== undefined) return chain.first;
    return this.#newcomers.first;
  }

  clear(): void {
    this.#newcomers = new Chain();
    this.#byUses = chains();
    this.#members = 0;
    this.#newcomersCount = 0;
  }

  /** Files the oldest newcomers by their counts as long as there are more of them than their share. */
  #settleOldest(): void {
    const share = Math.max(1, this.#members / MEMBERS_A_NEWCOMER);
    while (this.#newcomersCount > share) {
      const oldest = this.#newcomers.first;
      if (oldest === undefined) return;
      this.#newcomers.remove(oldest);
      this.#newcomersCount -= 1;
      this.#file(oldest, oldest.uses);
    }
  }

  #file(entry: E, uses: number): void {
    entry.uses = uses;
    entry.rank = this.#generation;
    this.#chainOf(uses).append(entry);
  }

  #usesOf(entry: E): number {
    // A shift takes its amount modulo 32; anything from 4 leaves nothing of a count up to 15.
    return entry.uses >> Math.min(this.#generation - entry.rank, 31);
  }

  #chainOf(uses: number): Chain<E> {
    return this.#byUses[uses] as Chain<E>;
  }

  #count(): void {
    this.#operations += 1;
    if (this.#operations < this.#members * OPERATIONS_A_MEMBER) return;
    this.#operations = 0;
    this.#generation += 1;
    for (let uses = 1; uses <= MOST_USES; uses += 1)
      this.#chainOf(uses >> 1).absorb(this.#chainOf(uses));
  }
}

/** One for each count. */
function chains<E extends Ranked>(): Chain<E>[] {
  return Array.from({ length: MOST_USES + 1 }, () => new Chain<E>());
}
