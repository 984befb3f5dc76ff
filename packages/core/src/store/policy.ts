/**
 * What a policy may know of an entry, and where it may note what it needs to. The store never
 * touches `prev`, `next`, `rank` and `uses`; what they mean is up to the policy, so that none of
 * them has to allocate on a hit. An entry is with one policy at a time.
 */
export interface Ranked {
  prev: Ranked | undefined;
  next: Ranked | undefined;
  rank: number;
  uses: number;
  /** When the entry ends on the store's clock, or `Infinity`. It does not change. */
  readonly deadlineAtMs: number;
}

/**
 * Which entry makes room when a bound is reached. Told of everything that happens to the entries,
 * and asked for the next to leave; it never drops one by itself. Synchronous, without timers: a hit
 * is one call of {@link EvictionPolicy.touch}.
 */
export interface EvictionPolicy<E extends Ranked = Ranked> {
  /** The entry was filed just now. It is none of the members. */
  add(entry: E): void;
  /** A hit of a member. */
  touch(entry: E): void;
  /** A member left the store, for whatever reason. Nothing of it may be kept. */
  remove(entry: E): void;
  /**
   * The member that leaves next, `undefined` only if there is none. The store may leave it in; asked
   * again with nothing else in between, it is the same one.
   */
  victim(): E | undefined;
  /**
   * All members left at once, and are not spoken of again. It must not take longer for a million of
   * them: visiting so many to unlink them takes a fifth of a second, in which nothing else runs. So
   * links among those that left may stay as they are, for the garbage collector.
   */
  clear(): void;
}

/**
 * `lru`: the least recently used leaves. `lfu`: the least often used of late, but none of the
 * newest, so that a scan does not push out what is used again and again. `ttl`: the soonest to
 * expire.
 */
export type PolicyName = 'lru' | 'lfu' | 'ttl';
