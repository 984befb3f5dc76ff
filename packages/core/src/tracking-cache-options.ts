import { type Clock, systemClock } from './clock.ts';
import type { Duration } from './duration.ts';
import { ConfigError, show } from './errors.ts';
import {
  callback,
  count,
  countTo,
  duration,
  having,
  type OptionReader,
  optional,
  ratio,
  readOptions,
} from './options.ts';
import type { Entry } from './store/entry.ts';
import type { EvictionPolicy, PolicyName } from './store/policy.ts';
import type { EvictionCause } from './store/store.ts';

export interface TrackingCacheOptions {
  /** Local copies kept, default 10 000, at most 2^24. */
  readonly maxEntries?: number;
  /** Bytes of keys and values kept, with 100 more for each entry; default 64 MiB. */
  readonly maxBytes?: number;
  /** The longest any local copy lives, whatever the server's TTL; default '5m'. */
  readonly ttl?: Duration;
  /** The longest the knowledge that a key does not exist lives; default '10s'. */
  readonly negativeTtl?: Duration;
  /**
   * By how much of its time, at most, a local copy may end sooner, by chance, so that what was read
   * together does not end together: from 0 (default) to below 1.
   */
  readonly ttlJitter?: number;
  /**
   * Which copy leaves when there is no room: `'lru'` (default), `'lfu'`, `'ttl'` (the soonest to
   * expire), or a function that makes a policy of one's own.
   */
  readonly store?: PolicyChoice;
  /** Called when copies leave, with why and how many. */
  readonly onEvicted?: (cause: EvictionCause, count: number) => void;
  /** For tests and hosts with a clock of their own. */
  readonly clock?: Clock;
}

export type PolicyChoice = PolicyName | (() => EvictionPolicy<Entry>);

/** A Map holds no more entries than this. */
const MOST_ENTRIES = 2 ** 24;

const policyChoice: OptionReader<PolicyChoice> = (value, name) => {
  if (value === 'lru' || value === 'lfu' || value === 'ttl') return value;
  if (typeof value === 'function') return value as () => EvictionPolicy<Entry>;
  throw new ConfigError(
    `${name} must be 'lru', 'lfu', 'ttl' or a function that makes a policy, not ${show(value)}`,
  );
};

/** The options that say how much is kept, and for how long; an adapter's own are these and more. */
export const boundReaders: {
  readonly maxEntries: OptionReader<number>;
  readonly maxBytes: OptionReader<number>;
  readonly ttl: OptionReader<number>;
  readonly negativeTtl: OptionReader<number>;
  readonly ttlJitter: OptionReader<number>;
  readonly store: OptionReader<PolicyChoice>;
} = {
  maxEntries: optional(countTo(MOST_ENTRIES), 10_000),
  maxBytes: optional(count, 64 * 1024 * 1024),
  ttl: optional(duration, 300_000),
  negativeTtl: optional(duration, 10_000),
  ttlJitter: optional(ratio(0, 1), 0),
  store: optional(policyChoice, 'lru'),
};

/** The options as the engine needs them; durations in milliseconds. */
export interface CacheRules {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly ttl: number;
  readonly negativeTtl: number;
  readonly ttlJitter: number;
  readonly store: PolicyChoice;
  readonly onEvicted: TrackingCacheOptions['onEvicted'];
  readonly clock: Clock;
}

export function readCacheOptions(where: string, options: unknown): CacheRules {
  return readOptions(where, options, {
    ...boundReaders,
    onEvicted: callback<NonNullable<TrackingCacheOptions['onEvicted']>>(),
    clock: optional(having<Clock>('nowMs', 'setTimer'), systemClock),
  });
}
