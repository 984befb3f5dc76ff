import { Entry } from './entry.ts';
import { KeyMap } from './key-map.ts';
import type { EvictionPolicy } from './policy.ts';
import type { Source } from './source.ts';

/** Why an entry left the store. */
export type EvictionCause =
  | 'size'
  | 'bytes'
  | 'ttl'
  | 'invalidation'
  | 'flush'
  | 'disconnect'
  | 'own-write';

export interface StoreBounds {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** What every entry is counted with beside its key and its value, as users are told. */
const OVERHEAD_BYTES = 100;
/** And for each key of a reply of several, which has to be found from all of them. */
const KEY_BYTES = 200;

export function overheadBytes(keys: number): number {
  return OVERHEAD_BYTES + (keys > 1 ? keys * KEY_BYTES : 0);
}

/** Entries of lost connections that are taken out with each one that is filed. */
const SWEPT_AT_ONCE = 8;

/** The entries of one key, by what of the key they are; most keys have exactly one. */
type Slot = Entry | Map<string, Entry>;

/**
 * The local copies, found by what was read and by the Redis key that changed. Bounded by entries and
 * bytes; which of them makes room is the policy's choice. Knows neither Redis nor time.
 *
 * A key leads to everything that was read of it alone, so that a hit and a push cost one look-up
 * each. Replies of several keys are filed by their signature, and found from each of their keys.
 */
export class Store {
  readonly #bounds: StoreBounds;
  readonly #policy: EvictionPolicy<Entry>;
  readonly #onEvicted: (cause: EvictionCause, count: number) => void;
  #slots = new KeyMap<Slot>();
  #replies = new KeyMap<Entry>();
  #dependents = new KeyMap<Set<Entry>>();
  readonly #sources = new Set<Source>();
  #entries = 0;
  #bytes = 0;
  /** Entries of lost connections, which are neither served nor counted any more. */
  #dead = 0;
  /** Those of them that are suspects. */
  #suspects = 0;
  #sweep: Iterator<Entry> | undefined;

  constructor(
    bounds: StoreBounds,
    policy: EvictionPolicy<Entry>,
    onEvicted: (cause: EvictionCause, count: number) => void,
  ) {
    this.#bounds = bounds;
    this.#policy = policy;
    this.#onEvicted = onEvicted;
  }

  /** Those that are still of use. */
  get entries(): number {
    return this.#entries - this.#dead;
  }

  /** Those of lost connections that may still be right. */
  get suspects(): number {
    return this.#suspects;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get indexedKeys(): number {
    return this.#dependents.size;
  }

  /** What was read of one key. Does not count as a use: see {@link used}. */
  find(key: string, rest: string): Entry | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    if (slot instanceof Entry) return slot.rest === rest ? slot : undefined;
    return slot.get(rest);
  }

  /** The reply of a command of several keys. */
  findReply(signature: string): Entry | undefined {
    return this.#replies.get(signature);
  }

  used(entry: Entry): void {
    this.#policy.touch(entry);
  }

  /** Files an entry in the place of the one before. One larger than the whole bound is not kept. */
  add(entry: Entry): boolean {
    const before =
      entry.keys === undefined ? this.find(entry.key, entry.rest) : this.#replies.get(entry.key);
    if (before !== undefined) this.#remove(before); // guard: I12
    if (entry.bytes > this.#bounds.maxBytes) return false; // guard: I12
    this.#file(entry);
    this.#sweepSome(); // guard: I12
    this.#makeRoom(); // guard: I12
    return true;
  }

  delete(entry: Entry, cause: EvictionCause): void {
    this.#evict(entry, cause);
  }

  /**
   * Drops what was read from `key`, but for an entry that still expects the echo of its own write.
   * `from`: where the push came from, if it is known: an echo comes to the connection that wrote.
   * Answers how many were dropped.
   */
  invalidate(key: string, cause: 'invalidation' | 'own-write', from?: Source): number {
    let dropped = 0;
    const slot = this.#slots.get(key);
    if (slot instanceof Entry) dropped += this.#invalidateEntry(slot, cause, from);
    else if (slot !== undefined)
      for (const entry of [...slot.values()]) dropped += this.#invalidateEntry(entry, cause, from);
    const replies = this.#dependents.size === 0 ? undefined : this.#dependents.get(key);
    if (replies !== undefined)
      // A copy, since dropping an entry takes it out of the set.
      for (const entry of [...replies]) dropped += this.#invalidateEntry(entry, cause, from); // guard: I1
    return dropped;
  }

  /**
   * Everything goes. The maps are replaced, not emptied, so that a store of a million entries does
   * not block its process.
   */
  clear(cause: EvictionCause): number {
    const dropped = this.entries;
    this.#slots = new KeyMap(); // guard: I1
    this.#replies = new KeyMap(); // guard: I1
    this.#dependents = new KeyMap(); // guard: I12
    this.#policy.clear(); // guard: I12
    for (const source of this.#sources) {
      source.entries = 0;
      source.suspect = false; // guard: I1, I4
    }
    this.#sources.clear();
    this.#entries = 0;
    this.#bytes = 0;
    this.#dead = 0;
    this.#suspects = 0;
    this.#sweep = undefined;
    if (dropped > 0) this.#onEvicted(cause, dropped);
    return dropped;
  }

  /**
   * What came from a connection that was lost is of no use. Its entries stay where they are, unseen,
   * until others are filed: so this costs the same for ten of them and for a million.
   */
  lose(source: Source): number {
    const dropped = this.#lose(source);
    this.#forget();
    return dropped;
  }

  /**
   * As {@link lose}, but its entries are suspects from now on: they stay until
   * {@link dropSuspects}, or until others need their room.
   */
  suspect(source: Source): number {
    const dropped = this.#lose(source);
    if (dropped > 0) {
      source.suspect = true;
      this.#suspects += dropped;
    }
    return dropped;
  }

  /** Ends the suspicion of what came from these connections, which are lost: it is of no use. */
  dropSuspects(areOf: (source: Source) => boolean): void {
    if (this.#suspects === 0) return;
    for (const source of this.#sources) {
      if (!source.suspect || !areOf(source)) continue;
      source.suspect = false; // guard: I4
      this.#suspects -= source.entries;
    }
    this.#forget();
  }

  #lose(source: Source): number {
    const dropped = source.entries;
    if (source.lost) return 0;
    source.lose(); // guard: T2
    if (dropped === 0) return 0;
    this.#dead += dropped;
    this.#onEvicted('disconnect', dropped);
    return dropped;
  }

  /** Where nothing is of use any more, the room is given back at once. */
  #forget(): void {
    if (this.#dead > 0 && this.#dead === this.#entries && this.#suspects === 0)
      this.clear('disconnect');
  }

  /** All entries, lost ones too. */
  *[Symbol.iterator](): Generator<Entry> {
    for (const slot of this.#slots.values())
      if (slot instanceof Entry) yield slot;
      else yield* slot.values();
    yield* this.#replies.values();
  }

  /** The replies of several keys that a push of `key` reaches. */
  dependentsOf(key: string): readonly Entry[] {
    return [...(this.#dependents.get(key) ?? [])];
  }

  #invalidateEntry(
    entry: Entry,
    cause: 'invalidation' | 'own-write',
    from: Source | undefined,
  ): number {
    if (cause === 'invalidation' && entry.echoes > 0 && entry.source === from) {
      entry.echoes -= 1; // guard: I1
      return 0;
    }
    return this.#evict(entry, cause);
  }

  /** Answers how many that counts as: what came from a lost connection was counted when it was lost. */
  #evict(entry: Entry, cause: EvictionCause): number {
    this.#remove(entry);
    if (entry.source.lost) return 0;
    this.#onEvicted(cause, 1);
    return 1;
  }

  #file(entry: Entry): void {
    if (entry.keys === undefined) this.#fileUnderKey(entry);
    else this.#fileReply(entry, entry.keys);
    const { source } = entry;
    if (source.entries === 0) this.#sources.add(source);
    source.entries += 1;
    this.#entries += 1;
    this.#bytes += entry.bytes;
    this.#policy.add(entry);
  }

  #fileUnderKey(entry: Entry): void {
    const slot = this.#slots.get(entry.key);
    if (slot === undefined) this.#slots.set(entry.key, entry);
    else if (slot instanceof Entry)
      this.#slots.set(
        entry.key,
        new Map([
          [slot.rest, slot],
          [entry.rest, entry],
        ]),
      );
    else slot.set(entry.rest, entry);
  }

  #fileReply(entry: Entry, keys: readonly string[]): void {
    this.#replies.set(entry.key, entry);
    for (const key of keys) {
      const others = this.#dependents.get(key);
      if (others === undefined) this.#dependents.set(key, new Set([entry]));
      else others.add(entry);
    }
  }

  #remove(entry: Entry): void {
    if (entry.keys === undefined) this.#removeFromKey(entry);
    else this.#removeReply(entry, entry.keys);
    const { source } = entry;
    source.entries -= 1;
    if (source.lost) this.#dead -= 1; // guard: I12
    if (source.suspect) this.#suspects -= 1; // guard: I12
    if (source.entries === 0) {
      this.#sources.delete(source);
      source.suspect = false;
    }
    this.#entries -= 1;
    this.#bytes -= entry.bytes;
    this.#policy.remove(entry); // guard: I12
  }

  #removeFromKey(entry: Entry): void {
    const slot = this.#slots.get(entry.key);
    if (slot === entry) this.#slots.delete(entry.key);
    else if (slot instanceof Map && slot.delete(entry.rest) && slot.size === 1) {
      const [last] = slot.values();
      this.#slots.set(entry.key, last as Entry);
      // A sweep that has paused in it must not come upon what may have left by then.
      slot.clear(); // guard: I12
    }
  }

  #removeReply(entry: Entry, keys: readonly string[]): void {
    this.#replies.delete(entry.key);
    for (const key of keys) {
      const others = this.#dependents.get(key);
      if (others?.delete(entry) && others.size === 0) this.#dependents.delete(key); // guard: I12
    }
  }

  get #isOverfull(): boolean {
    return this.#entries > this.#bounds.maxEntries || this.#bytes > this.#bounds.maxBytes;
  }

  #makeRoom(): void {
    while (this.#isOverfull) {
      const victim = this.#policy.victim();
      if (victim === undefined) return;
      this.#evict(victim, this.#entries > this.#bounds.maxEntries ? 'size' : 'bytes');
    }
  }

  /** Suspects go before what is of use does, and not without need. */
  #sweepSome(): void {
    if (this.#dead === 0) {
      this.#sweep = undefined;
      return;
    }
    const spared = this.#isOverfull ? 0 : this.#suspects;
    if (this.#dead === spared) return;
    this.#sweep ??= this[Symbol.iterator]();
    for (let i = 0; i < SWEPT_AT_ONCE; i += 1) {
      const { done, value } = this.#sweep.next();
      if (done) {
        this.#sweep = undefined;
        return;
      }
      const { lost, suspect } = value.source;
      if (lost && !(suspect && spared > 0)) this.#remove(value); // guard: I12
    }
  }
}
