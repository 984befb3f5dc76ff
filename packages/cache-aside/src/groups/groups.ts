import type { CommandPort, TrackingCache } from '@redcache/core';
import { runScript } from '@redcache/core/toolkit';
import { keepEpoch } from '../scripts/keep-epoch.ts';
import { nextEpoch } from '../scripts/next-epoch.ts';
import { raiseEpoch } from '../scripts/raise-epoch.ts';
import type { FencedWrites } from '../write/fenced-writes.ts';
import { type Asking, type Epoch, Epochs } from './epochs.ts';
import { GroupKeys } from './group-keys.ts';

/** What a value says of itself: when its load began, and to which groups it belongs. */
export interface Member {
  readonly epoch: number;
  readonly tags: readonly string[];
}

/** `unknown`: nobody here knows without asking Redis. */
export type Standing = 'current' | 'outdated' | 'unknown';

/** Later than any epoch: whatever is asked about, nobody knows. */
const UNKNOWN = Number.POSITIVE_INFINITY;

/** How long a tag is remembered at least beyond the values that carry it. */
const TAG_OUTLIVES_MS = 3_600_000;

/**
 * Values that are made stale together, all of a tag or all of a namespace, in a number of commands that
 * does not depend on how many they are.
 *
 * Epochs of a namespace are counted in one place. A value carries the one in which its load began; a tag
 * and the namespace each have the one that began when they were last invalidated. A value is current
 * while none of these is later than its own.
 *
 * G1  A load that began before an invalidation carries an epoch of before: what it stores is outdated.
 *     The epoch it carries may be known here for longer than it is the last one: then its value counts
 *     as outdated too early, never too late.
 * G2  A tag that nobody remembers may have been invalidated: what carries it is outdated. Whoever stores
 *     a value with it begins it, in the epoch of that value.
 * G3  What is known here of a tag is gone, by its push, before anybody who waits is woken; so is every
 *     copy with it.
 * G4  Nobody joins a load that began before an invalidation he could know of: one of this process that was
 *     answered, or one whose push has come.
 */
export class Groups {
  readonly #engine: TrackingCache;
  readonly #epochs: Epochs;
  readonly #redis: Asking;
  readonly #writes: FencedWrites;
  readonly #keys: GroupKeys;
  readonly #isUncertain: (key: string) => boolean;
  readonly #onInvalidated: () => void;
  readonly #stops: readonly (() => void)[];
  #clearedIn = UNKNOWN;

  constructor(parts: {
    readonly engine: TrackingCache;
    readonly redis: Asking;
    readonly writes: FencedWrites;
    readonly prefix: string;
    /** Whether an invalidation went unanswered, and was not made good yet (I13). */
    readonly isUncertain: (key: string) => boolean;
    /** Something was invalidated, whichever group it was. */
    readonly onInvalidated: () => void;
  }) {
    this.#engine = parts.engine;
    this.#epochs = new Epochs(parts.engine, parts.redis);
    this.#redis = parts.redis;
    this.#writes = parts.writes;
    this.#keys = new GroupKeys(parts.prefix);
    this.#isUncertain = parts.isUncertain;
    this.#onInvalidated = parts.onInvalidated;
    const { cleared, now } = this.#keys;
    this.#stops = [
      parts.engine.onInvalidation(cleared, () => {
        this.#clearedIn = UNKNOWN;
      }),
      // Whoever loads knows the epoch, and every invalidation of anything begins a new one.
      parts.engine.onInvalidation(now, parts.onInvalidated), // guard: G4
    ];
  }

  /**
   * What was loaded in an earlier epoch than this is not known to be current. Kept as a number, so that
   * a hit costs one comparison.
   */
  get clearedIn(): number {
    return this.#clearedIn;
  }

  /** Asks what every value is judged by, if it is not known. Sends: `GET` and `PTTL`. */
  prepare(): Promise<unknown> | undefined {
    return this.#clearedIn === UNKNOWN ? this.#learnCleared() : undefined;
  }

  /** What is known here. Synchronous. */
  standing({ epoch, tags }: Member): Standing {
    if (epoch < this.#clearedIn) return this.#clearedIn === UNKNOWN ? 'unknown' : 'outdated';
    for (const tag of tags) {
      const invalidatedIn = this.#epochs.known(this.#keys.tag(tag));
      if (invalidatedIn === undefined) return 'unknown';
      if (isOutdated(epoch, invalidatedIn)) return 'outdated';
    }
    return 'current';
  }

  /** Whether it was current, by what was known here when Redis went away. Synchronous. */
  wasCurrent({ epoch, tags }: Member): boolean {
    return this.keysOf({ tags }).every((key) => {
      if (this.#isUncertain(key)) return false;
      const begun = this.#epochs.known(key) ?? this.#epochs.suspected(key);
      return begun !== undefined && !isOutdated(epoch, begun);
    });
  }

  /**
   * What {@link standing} answers, having asked for what is not known.
   *
   * Sends: nothing if all is known; else, in one round trip, `GET` and `PTTL` for each tag that is not,
   * and for the namespace.
   */
  async isCurrent({ epoch, tags }: Member): Promise<boolean> {
    if (this.keysOf({ tags }).some(this.#isUncertain)) return false; // guard: I13
    const [clearedIn, ...invalidatedIn] = await Promise.all([
      this.#clearedIn === UNKNOWN ? this.#learnCleared() : this.#clearedIn,
      ...tags.map((tag) => this.#epochs.find(this.#keys.tag(tag))),
    ]);
    return [clearedIn, ...invalidatedIn].every((each) => !isOutdated(epoch, each));
  }

  /** What {@link now} would answer, if it is known here. Synchronous. */
  known(): number | undefined {
    const epoch = this.#clearedIn === UNKNOWN ? undefined : this.#epochs.known(this.#keys.now);
    return epoch === 'none' ? undefined : epoch;
  }

  /**
   * The epoch for a load that is about to begin.
   *
   * Sends: nothing if it is known here; else EVALSHA `read-epoch` (1 key). For the first call of all what
   * {@link prepare} does before it: what is loaded must not be older than the namespace. At once if all
   * is known.
   */
  now(): number | Promise<number> {
    return this.known() ?? this.#learnNow();
  }

  /**
   * Sees to it that the tags of a value are remembered for as long as it lives (G2).
   *
   * Sends: EVALSHA `keep-epoch` (1 key) for each tag, in one round trip.
   */
  keep({ epoch, tags }: Member, forMs: number): Promise<void> {
    return this.#keep(tags, String(epoch), forMs);
  }

  /** As {@link keep}, for a value that is there: it does not begin what may have been invalidated (G2). */
  prolong({ tags }: Pick<Member, 'tags'>, forMs: number): Promise<void> {
    return this.#keep(tags, '', forMs);
  }

  async #keep(tags: readonly string[], epoch: string, forMs: number): Promise<void> {
    if (tags.length === 0) return;
    const args = [epoch, String(forMs), String(2 * forMs + TAG_OUTLIVES_MS)];
    const keep = (key: string): Promise<unknown> =>
      this.#redis.ask(key, (port) => runScript(port, keepEpoch, [key], args));
    await Promise.all(tags.map((tag) => keep(this.#keys.tag(tag))));
  }

  /**
   * Makes every value stale that carries the tag.
   *
   * Sends: EVALSHA `next-epoch` (1 key), then EVALSHA `raise-epoch` (1 key). Atomic: each by itself; what
   * is loaded between the two counts as loaded after.
   * Throws: `OutcomeUnknownError` if that went unanswered: the tag is then forgotten as soon as Redis
   * answers again, which makes its values stale as well.
   */
  invalidateTag(tag: string, rememberMs: number): Promise<void> {
    return this.#begin(this.#keys.tag(tag), String(rememberMs + TAG_OUTLIVES_MS));
  }

  /** As {@link invalidateTag}, for every value of the namespace. */
  clear(): Promise<void> {
    this.#clearedIn = UNKNOWN;
    return this.#begin(this.#keys.cleared, '');
  }

  /** The keys whose changes may make it outdated. */
  keysOf({ tags }: Pick<Member, 'tags'>): string[] {
    return [this.#keys.cleared, ...tags.map((tag) => this.#keys.tag(tag))];
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  async #begin(key: string, forMs: string): Promise<void> {
    const { now } = this.#keys;
    // Not among the keys of the write: were it deleted when that goes unanswered, epochs might not rise.
    const fence = this.#engine.fence([now]);
    try {
      const again = (port: CommandPort): Promise<void> => begin(port, key, now, forMs);
      // Deleting alone would not do: a load that began before begins the tag anew, in its own epoch (G2).
      await this.#writes.run([key], again, { remedy: again }); // guard: G1
    } finally {
      fence.settle();
      this.#onInvalidated(); // guard: G4
    }
  }

  async #learnNow(): Promise<number> {
    if (this.#clearedIn === UNKNOWN) await this.#learnCleared();
    return this.#epochs.have(this.#keys.now);
  }

  /** Where nobody has cleared the namespace yet, or nobody remembers, that counts as done now (G2). */
  async #learnCleared(): Promise<number> {
    const { cleared, now } = this.#keys;
    let epoch = await this.#epochs.find(cleared);
    if (epoch === 'none') {
      await this.#redis.ask(now, async (port) => {
        const begun = await runScript(port, nextEpoch, [now], []);
        // Whoever was quicker has said enough, and values are stored in the epoch that he began.
        await port.send(['SET', cleared, String(begun), 'NX']);
      });
      epoch = await this.#epochs.find(cleared);
    }
    // Nothing is kept unless it is tracked, and whoever is told of a change is told after this.
    const known = this.#epochs.known(cleared);
    if (known !== undefined && known !== 'none') this.#clearedIn = known;
    return epoch === 'none' ? UNKNOWN : epoch;
  }
}

/** Begins a new epoch in the key `now`, and writes it to `key` unless that is later. */
async function begin(port: CommandPort, key: string, now: string, forMs: string): Promise<void> {
  const epoch = await runScript(port, nextEpoch, [now], []);
  await runScript(port, raiseEpoch, [key], [String(epoch), forMs]);
}

function isOutdated(epoch: number, invalidatedIn: Epoch): boolean {
  return invalidatedIn === 'none' || epoch < invalidatedIn;
}
