import type { Clock } from './clock.ts';
import { systemClock } from './clock.ts';
import type { Duration } from './duration.ts';
import { Flight, SingleFlight } from './flight/single-flight.ts';
import {
  count,
  countTo,
  duration,
  having,
  isWellFormed,
  type OptionReader,
  optional,
  readOptions,
} from './options.ts';
import { type CacheStats, Counters } from './stats.ts';
import type { Entry } from './store/entry.ts';
import { Guard, Guards, type OnBroken } from './store/guard.ts';
import { LruStore } from './store/lru.ts';
import { Hub, type InvalidationListener } from './tracking/hub.ts';
import type { Invalidation } from './tracking/invalidation.ts';
import { TrackingSession } from './tracking/session.ts';
import type { TrackingState } from './tracking/state.ts';

export interface TrackingCacheOptions {
  /** Local copies kept, default 10 000, at most 2^24. The least recently used leaves first. */
  readonly maxEntries?: number;
  /** Bytes of keys and values kept, with 100 more for each entry; default 64 MiB. */
  readonly maxBytes?: number;
  /** The longest any local copy lives, whatever the server's TTL; default '5m'. */
  readonly ttl?: Duration;
  /** The longest the knowledge that a key does not exist lives; default '10s'. */
  readonly negativeTtl?: Duration;
  /** For tests and hosts with a clock of their own. */
  readonly clock?: Clock;
}

/** Time a key has left on the server, in milliseconds; `'none'`: it never expires. */
export type Remaining = number | 'none';

export interface Filling {
  readonly kind: Entry['kind'];
  readonly remaining: Remaining;
  /** The encoded value alone. */
  readonly valueBytes: number;
  /**
   * `'read'` (default): stored only if the guard saw nothing. `'own-write'`: the command was a
   * script that read, wrote and read the key, so exactly one push is our own echo; it is stored
   * with none or one push seen.
   */
  readonly by?: 'read' | 'own-write';
}

/** What a read brought back. `uncacheable`: hand it out, but keep nothing. */
export type Fetched<V> =
  | { readonly value: V; readonly cache: Omit<Filling, 'by'> }
  | { readonly value: V; readonly cache: 'uncacheable' };

/** A Map holds no more entries than this. */
const MOST_ENTRIES = 2 ** 24;

/** The options that say how much is kept, and for how long; an adapter's own are these and more. */
export const boundReaders: {
  readonly [K in 'maxEntries' | 'maxBytes' | 'ttl' | 'negativeTtl']: OptionReader<number>;
} = {
  maxEntries: optional(countTo(MOST_ENTRIES), 10_000),
  maxBytes: optional(count, 64 * 1024 * 1024),
  ttl: optional(duration, 300_000),
  negativeTtl: optional(duration, 10_000),
};

/** Marks the ids of command replies, so that no key can be mistaken for one. */
const MARK = '\u0001';

/**
 * The engine: a bounded local copy of what was read from Redis that is dropped the moment Redis says
 * it changed. It does no I/O. A host feeds it connection events and pushes, through
 * {@link attach} or an adapter.
 *
 * Invariants I1–I3, I5, I6, I12 and I14 of `docs/invariants.md` hold for whatever is read through
 * {@link TrackingCache.read} or between {@link TrackingCache.guard} and {@link TrackingCache.fill}.
 */
export class TrackingCache {
  readonly clock: Clock;
  /** The connection's side of the engine; adapters dispatch on it. */
  readonly session: TrackingSession;
  readonly #ttlMs: number;
  readonly #negativeTtlMs: number;
  readonly #store: LruStore;
  readonly #guards = new Guards();
  readonly #flights = new SingleFlight((detach) => new Flight<unknown>(detach));
  readonly #hub: Hub;
  readonly #counters = new Counters();

  constructor(options?: TrackingCacheOptions) {
    const read = readOptions('createTrackingCache', options, {
      ...boundReaders,
      clock: optional(having<Clock>('nowMs', 'setTimer'), systemClock),
    });
    this.clock = read.clock;
    this.#ttlMs = read.ttl;
    this.#negativeTtlMs = read.negativeTtl;
    this.#store = new LruStore(read, (cause) => {
      this.#counters.evictions[cause] += 1;
    });
    this.#hub = new Hub(this.#store, this.#guards);
    this.session = new TrackingSession(this.#hub);
  }

  get state(): TrackingState['is'] {
    return this.session.state.is;
  }

  /** The local copy of `key`, if there is one that may be served. Synchronous; no promise, no I/O. */
  lookup(key: string): Entry | undefined {
    return this.#lookupId(plainId(key));
  }

  #lookupId(id: string): Entry | undefined {
    const entry = this.#store.get(id);
    if (entry === undefined) {
      this.#counters.misses += 1;
      return undefined;
    }
    if (entry.deadlineAtMs <= this.clock.nowMs()) {
      this.#store.delete(id, 'ttl');
      this.#counters.misses += 1;
      return undefined;
    }
    this.#counters.hits += 1;
    return entry;
  }

  /**
   * Answers the reply of a command from here, or has it fetched once for all who ask meanwhile.
   *
   * `keys`: every key the reply depends on. `signature`: the whole command, so that two commands
   * with the same signature have the same reply; it may hold any character. `fetch` sends and says
   * how long what came back may be kept. What it throws reaches every caller that joined.
   */
  read<V>(
    keys: readonly string[],
    signature: string,
    fetch: () => Promise<Fetched<V>>,
  ): Promise<V> {
    const id = `${MARK}s${signature}`;
    const entry = this.#lookupId(id);
    if (entry !== undefined) return Promise.resolve(entry.value as V);
    const joined = this.#flights.joinable(id);
    if (joined !== undefined) {
      this.#counters.coalesced += 1;
      return joined.promise as Promise<V>;
    }
    const flight = this.#flights.lead(id);
    void this.#fetchInto(flight, id, keys, fetch);
    return flight.promise as Promise<V>;
  }

  async #fetchInto(
    flight: Flight<unknown>,
    id: string,
    keys: readonly string[],
    fetch: () => Promise<Fetched<unknown>>,
  ): Promise<void> {
    const guard = this.guard(keys, () => flight.detach());
    // Nobody would tell us that the reply is outdated, so nobody may join later.
    if (guard.severed) flight.detach();
    try {
      const fetched = await fetch();
      if (fetched.cache === 'uncacheable') this.release(guard);
      else this.#fillId(guard, id, fetched.value, fetched.cache);
      flight.land(fetched.value);
    } catch (error) {
      this.release(guard);
      flight.fail(error);
    }
  }

  /**
   * Watches `keys` from now on; call it before the command is sent. End it with {@link fill} or
   * {@link release}. `onBroken` runs synchronously and before any waiter: once at the first
   * invalidation of a key (`'push'`), once at the first flush, lost connection or own write
   * (`'severed'`). Without a tracked connection, while a write of ours to a key is under way, and
   * for a key that is no well-formed text, the guard is `severed` from the start.
   */
  guard(keys: readonly string[], onBroken?: OnBroken): Guard {
    const severed =
      this.state !== 'tracking' || this.#guards.isFenced(keys) || !keys.every(isWellFormed);
    const guard = new Guard({ keys, openedAtMs: this.clock.nowMs(), severed, onBroken });
    this.#guards.open(guard);
    return guard;
  }

  release(guard: Guard): void {
    this.#guards.close(guard);
  }

  /**
   * Stores the value of `key`, which must be the guard's only key, and closes the guard. Answers
   * whether it was stored: not if anything happened to the key since the guard was opened (I2), nor
   * if no time is left.
   */
  fill(guard: Guard, key: string, value: unknown, filling: Filling): boolean {
    return this.#fillId(guard, plainId(key), value, filling);
  }

  #fillId(guard: Guard, id: string, value: unknown, filling: Filling): boolean {
    const stored = this.#guards.close(guard) && this.#admit(guard, id, value, filling);
    if (stored) this.#counters.fills += 1;
    else this.#counters.refusedFills += 1;
    return stored;
  }

  #admit(guard: Guard, id: string, value: unknown, filling: Filling): boolean {
    const ownWrite = filling.by === 'own-write';
    if (ownWrite ? guard.severed || guard.pushes > 1 : !guard.intact) return false;
    const longestMs = filling.kind === 'present' ? this.#ttlMs : this.#negativeTtlMs;
    const leftMs =
      filling.remaining === 'none' ? longestMs : Math.min(filling.remaining, longestMs);
    const deadlineAtMs = guard.openedAtMs + leftMs;
    if (!(deadlineAtMs > this.clock.nowMs())) return false;
    const echoes = ownWrite ? 1 - guard.pushes : 0;
    this.#store.set(
      id,
      { kind: filling.kind, value, deadlineAtMs, keys: guard.keys, echoes },
      filling.valueBytes,
    );
    return true;
  }

  /**
   * Says that a write of ours to `keys` is about to be sent: drops them, lets later callers start
   * anew, and refuses every fill of them until {@link Fence.settle} is called after the reply (I6).
   * A fence that is never settled keeps its keys out of the cache: right for an unknown outcome.
   */
  fence(keys: readonly string[]): Fence {
    for (const key of keys) {
      this.#guards.fence(key);
      this.#store.invalidate(key, 'own-write');
    }
    let open = true;
    return {
      settle: () => {
        if (!open) return;
        open = false;
        for (const key of keys) {
          this.#guards.unfence(key);
          this.#store.invalidate(key, 'own-write');
        }
      },
    };
  }

  /** What the server pushed: these keys changed, or `'all'` may have. The store goes first (I5). */
  invalidate(keys: readonly string[] | 'all'): void {
    if (keys === 'all') {
      this.#counters.flushes += 1;
      this.#hub.flush('flush');
      return;
    }
    this.#counters.pushes += keys.length;
    this.#hub.invalidate(keys);
  }

  receive(invalidation: Invalidation): void {
    this.invalidate(invalidation.kind === 'flush' ? 'all' : invalidation.keys);
  }

  /**
   * Calls `listener` after every invalidation of `key`, flush and lost connection, once the store
   * has dropped what it held. Answers how to stop it. What a listener throws is reported on
   * `redcache:callback-error`.
   */
  onInvalidation(key: string, listener: InvalidationListener): () => void {
    return this.#hub.listen(key, listener);
  }

  stats(): CacheStats {
    return {
      state: this.state,
      entries: this.#store.entries,
      bytes: this.#store.bytes,
      ...this.#counters,
      evictions: { ...this.#counters.evictions },
    };
  }

  /** Drops every local copy. Redis is not told. */
  clear(): void {
    this.#hub.flush('clear');
  }

  /** Drops everything for good and wakes everyone who waits. Nothing is stored afterwards. */
  close(): void {
    this.session.dispatch({ is: 'close' });
  }

  /** What a test may look into; no part of the public face. @internal */
  get internals(): Internals {
    return { store: this.#store, guards: this.#guards, hub: this.#hub, flights: this.#flights };
  }
}

interface Internals {
  readonly store: LruStore;
  readonly guards: Guards;
  readonly hub: Hub;
  readonly flights: SingleFlight<Flight<unknown>>;
}

/** A write of ours that is under way. */
export interface Fence {
  /** The reply is here. Harmless when called again. */
  settle(): void;
}

/** Makes an engine. Throws `ConfigError` for bad options. */
export function createTrackingCache(options?: TrackingCacheOptions): TrackingCache {
  return new TrackingCache(options);
}

/** The id of the value of a key: the key itself, unless it begins like the id of a reply. */
function plainId(key: string): string {
  return key.charCodeAt(0) === 1 ? `${MARK}k${key}` : key;
}
