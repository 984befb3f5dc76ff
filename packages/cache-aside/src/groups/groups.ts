import type { CommandPort, TrackingCache } from '@redcache/core';
import { runScript } from '@redcache/core/toolkit';
import { keepEpoch } from '../scripts/keep-epoch.ts';
import { nextEpoch } from '../scripts/next-epoch.ts';
import { raiseEpoch } from '../scripts/raise-epoch.ts';
import { readEpoch } from '../scripts/read-epoch.ts';
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

/** Later than any epoch: where there is none, none is begun. */
const NOT_BEGUN = Number.POSITIVE_INFINITY;

/** In which epoch a tag is to begin if nobody remembers it, and for how long it is needed. */
interface Keeping {
  readonly epoch: number;
  readonly forMs: number;
}

interface KeptTogether {
  readonly tags: Map<string, Keeping>;
  readonly kept: Promise<void>;
}

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
 *     a value with it begins it, in the epoch of that value. So it is with the namespace: it is
 *     whoever is about to load that begins it, in a new epoch; reads write nothing.
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
  /** Tags to be kept, of all who ask in one turn. */
  #keeping: KeptTogether | undefined;
  #beginning: Promise<number> | undefined;

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
        this.#clearedIn = UNKNOWN; // guard: G3
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
      if (invalidatedIn === undefined) return 'unknown'; // guard: G2
      if (isOutdated(epoch, invalidatedIn)) return 'outdated'; // guard: G1
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
   * Sends: nothing if it is known here; else EVALSHA `read-epoch` (1 key), and for the first call of all,
   * beside it, what {@link prepare} does: what is loaded must not be older than the namespace. For the
   * first of a namespace also EVALSHA `next-epoch` (1 key) and EVALSHA `read-epoch` (1 key), once for all who
   * ask meanwhile. At once if all is known.
   */
  now(): number | Promise<number> {
    return this.known() ?? this.#learnNow();
  }

  /**
   * Sees to it that the tags of a value are remembered for as long as it lives (G2).
   *
   * Sends: EVALSHA `keep-epoch` (1 key) for each tag, in one round trip, and once for all who ask in one
   * turn.
   */
  keep({ epoch, tags }: Member, forMs: number): Promise<void> {
    return this.#keep(tags, epoch, forMs);
  }

  /** As {@link keep}, for a value that is there: it does not begin what may have been invalidated (G2). */
  prolong({ tags }: Pick<Member, 'tags'>, forMs: number): Promise<void> {
    return this.#keep(tags, NOT_BEGUN, forMs);
  }

  #keep(tags: readonly string[], epoch: number, forMs: number): Promise<void> {
    if (tags.length === 0) return Promise.resolve();
    this.#keeping ??= this.#keepTogether();
    const { tags: all, kept } = this.#keeping;
    for (const tag of tags) {
      const other = all.get(tag);
      // In the earliest epoch, as if that value had come first: no value of ours is outdated by another.
      if (other === undefined) all.set(tag, { epoch, forMs });
      else
        all.set(tag, {
          epoch: Math.min(epoch, other.epoch),
          forMs: Math.max(forMs, other.forMs),
        });
    }
    return kept;
  }

  #keepTogether(): KeptTogether {
    const tags = new Map<string, Keeping>();
    const keepOne = (tag: string, { epoch, forMs }: Keeping): Promise<unknown> => {
      const key = this.#keys.tag(tag);
      const begun = epoch === NOT_BEGUN ? '' : String(epoch);
      const args = [begun, String(forMs), String(2 * forMs + TAG_OUTLIVES_MS)];
      return this.#redis.ask(key, (port) => runScript(port, keepEpoch, [key], args));
    };
    const kept = Promise.resolve().then(async () => {
      this.#keeping = undefined;
      await Promise.all(Array.from(tags, ([tag, keeping]) => keepOne(tag, keeping)));
    });
    return { tags, kept };
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
    const [epoch, clearedIn] = await Promise.all([
      this.#epochs.have(this.#keys.now),
      this.#clearedIn === UNKNOWN ? this.#learnCleared() : this.#clearedIn,
    ]);
    if (clearedIn !== UNKNOWN) return epoch;
    this.#beginning ??= this.#beginNamespace().finally(() => {
      this.#beginning = undefined;
    });
    return this.#beginning;
  }

  /** Nobody has cleared the namespace yet, or nobody remembers, so that counts as done now (G2). */
  async #beginNamespace(): Promise<number> {
    const { cleared, now } = this.#keys;
    const epoch = await this.#redis.ask(now, async (port) => {
      // A new one: what is known here may be of before a clearing that was forgotten.
      const begun = String(await runScript(port, nextEpoch, [now], []));
      // If somebody else was first, his is left, or what he has begun to load would be outdated at once.
      const [stands] = (await runScript(port, readEpoch, [cleared], [begun])) as [unknown];
      return Math.max(Number(begun), Number(stands));
    });
    // Both were read here before they were begun, and are known no more.
    await Promise.all([this.#learnCleared(), this.#epochs.have(now)]);
    return epoch;
  }

  async #learnCleared(): Promise<number> {
    const { cleared } = this.#keys;
    const epoch = await this.#epochs.find(cleared);
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
