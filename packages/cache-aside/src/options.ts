import { type Clock, ConfigError, type Duration, systemClock } from '@redcache/core';
import type { AnyClient } from '@redcache/core/node-redis';
import {
  abortSignal,
  countTo,
  duration,
  flag,
  type Given,
  having,
  type OptionReader,
  oneOf,
  optional,
  optionals,
  readGiven,
  readOptions,
  text,
} from '@redcache/core/toolkit';
import { type CodecOption, codec } from './codecs/named.ts';
import { type CompressOptions, compression } from './compression.ts';
import type { Freeze } from './freeze.ts';
import {
  DEFAULT_POLICY,
  POLICY,
  type Policy,
  type PolicyOptions,
  policyFrom,
  TIMES,
  type TimeoutOptions,
  times,
} from './policy.ts';
import type { FormatOptions } from './value.ts';

export interface CacheOptions extends PolicyOptions {
  /** A node-redis client, pool, cluster or sentinel made with `clientSideCache: clientSideCache()`. */
  readonly client: AnyClient;
  /** Put before every key, with a colon; default none. */
  readonly namespace?: string;
  readonly timeout?: CacheTimeoutOptions;
  /** Values handed out are deeply frozen (default), private copies, or shared and mutable. */
  readonly freeze?: Freeze;
  /** How values are written: `'json'` (default), `'text'`, `'bytes'`, or a codec of your own. */
  readonly codec?: CodecOption;
  /** Compresses what is larger than `above` bytes; default: nothing. Any reader can read it. */
  readonly compress?: CompressOptions;
  /**
   * A value that another program wrote: as if nothing was there, so that the next load replaces it
   * (default), or what the codec reads in all of its bytes.
   */
  readonly foreign?: 'absent' | 'raw';
  /** How many loaders may run at a time while Redis is away; the others wait; default 100. */
  readonly maxLoadsWithoutRedis?: number;
  /** For tests. */
  readonly clock?: Clock;
}

export interface CacheTimeoutOptions extends TimeoutOptions {
  /** The longest a call waits for an answer of Redis; default '250ms'. */
  readonly redis?: Duration;
}

/** The tags of a value, or what answers them. */
export type Tags<V = unknown> = readonly string[] | ((value: V) => readonly string[]);

export interface GetOptions<V = unknown> extends PolicyOptions {
  /** Ends this caller's wait; the load goes on as long as others wait for it. */
  readonly signal?: AbortSignal | undefined;
  readonly timeout?: TimeoutOptions;
  /** The groups that a loaded value belongs to; see `invalidateTag`. */
  readonly tags?: Tags<V>;
  /** Loads anew whatever there is, which this call is not answered with, however that ends. */
  readonly refresh?: boolean;
}

export interface SetOptions<V = unknown>
  extends Pick<PolicyOptions, 'ttl' | 'ttlJitter' | 'grace' | 'staleIfError'> {
  readonly tags?: Tags<V>;
}

export interface WriteOptions<V = unknown> extends SetOptions<V>, Pick<PolicyOptions, 'lease'> {
  /** How long to wait for writers before; default `timeout.hard`. */
  readonly wait?: Duration;
  /** Ends this caller's wait, and tells the writer to stop. */
  readonly signal?: AbortSignal | undefined;
}

export interface Settings {
  readonly client: AnyClient;
  readonly prefix: string;
  readonly redisMs: number;
  readonly format: FormatOptions;
  readonly maxLoadsWithoutRedis: number;
  readonly clock: Clock;
  readonly policy: Policy;
}

/** What one call wants. */
export interface Wish {
  readonly policy: Policy;
  readonly signal: AbortSignal | undefined;
  readonly tags: Tags<never> | undefined;
  readonly refresh: boolean;
}

/** What it is that is written. */
export interface Keeping {
  readonly policy: Policy;
  readonly tags: Tags<never> | undefined;
}

/** What one write under a lock wants. */
export interface WriteWish extends Keeping {
  readonly ttlMs: number | undefined;
  readonly leaseMs: number;
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
}

const MOST_LOADS = 100_000;

export const freeze: OptionReader<Freeze> = (value, name) => {
  if (value !== true && value !== false && value !== 'clone')
    throw new ConfigError(`${name} must be true, false or 'clone'`);
  return value;
};

/** Checks what a user, or a function of his, says the tags of a value are. */
export function checkTags(value: unknown, name: string): readonly string[] {
  if (!Array.isArray(value)) throw new ConfigError(`${name} must be a list of strings`);
  for (const tag of value)
    if (typeof tag !== 'string' || tag === '' || !tag.isWellFormed())
      throw new ConfigError(`${name}: a tag must be well-formed text that is not empty`);
  return [...new Set(value as string[])];
}

/** What is half a character would be another one in Redis, so that pushes would name other keys. */
const namespace: OptionReader<string> = (value, name) => {
  const checked = text(value, name);
  if (!checked.isWellFormed())
    throw new ConfigError(`${name} must be well-formed text, without half a surrogate pair`);
  return checked;
};

export const tags: OptionReader<Tags<never> | undefined> = (value, name) => {
  if (value === undefined || typeof value === 'function') return value as Tags<never> | undefined;
  return checkTags(value, name);
};

export function readCacheOptions(options: CacheOptions): Settings {
  const read = readOptions('createCache', options, {
    client: having<AnyClient>('on'),
    ...optionals(POLICY),
    namespace: optional(namespace, ''),
    timeout: (value, name) =>
      readOptions(name, value, { ...optionals(TIMES), redis: optional(duration, 250) }),
    freeze: optional(freeze, true),
    codec,
    compress: compression,
    foreign: optional(oneOf('absent', 'raw'), 'absent'),
    maxLoadsWithoutRedis: optional(countTo(MOST_LOADS), 100),
    clock: optional(having<Clock>('nowMs', 'setTimer'), systemClock),
  });
  return {
    client: read.client,
    prefix: read.namespace === '' ? '' : `${read.namespace}:`,
    redisMs: read.timeout.redis,
    format: {
      freeze: read.freeze,
      codec: read.codec,
      compress: read.compress,
      foreign: read.foreign,
    },
    maxLoadsWithoutRedis: read.maxLoadsWithoutRedis,
    clock: read.clock,
    policy: policyFrom(DEFAULT_POLICY, read, read.timeout),
  };
}

type ReadReaders = typeof POLICY & {
  readonly timeout: typeof times;
  readonly signal: OptionReader<AbortSignal | undefined>;
  readonly tags: OptionReader<Tags<never> | undefined>;
  readonly refresh: OptionReader<boolean>;
};

/** Readers of the options of a read. */
export const READ: ReadReaders = {
  ...POLICY,
  timeout: times,
  signal: abortSignal,
  tags,
  refresh: flag,
};

/** What is left out is as in `policy`. */
export function wishFrom(policy: Policy, given: Given<typeof READ>): Wish {
  return {
    policy: policyFrom(policy, given, given.timeout),
    signal: given.signal,
    tags: given.tags,
    refresh: given.refresh ?? false,
  };
}

/** What one call says itself, and the cache's policy for the rest. */
export function readGetOptions<V>(
  where: string,
  options: GetOptions<V> | undefined,
  policy: Policy,
): Wish {
  if (options === undefined) return { policy, signal: undefined, tags: undefined, refresh: false };
  return wishFrom(policy, readGiven(where, options, READ));
}

export function readSetOptions<V>(
  where: string,
  options: SetOptions<V> | undefined,
  policy: Policy,
): Keeping & { readonly ttlMs: number | undefined } {
  if (options === undefined) return { policy, tags: undefined, ttlMs: undefined };
  return keepingOf(policy, readGiven(where, options, KEEPING));
}

export function readWriteOptions<V>(
  where: string,
  options: WriteOptions<V> | undefined,
  policy: Policy,
): WriteWish {
  const given = readGiven(where, options, WRITE);
  return {
    ...keepingOf(policy, given),
    leaseMs: given.lease ?? policy.leaseMs,
    waitMs: given.wait ?? policy.hardMs,
    signal: given.signal,
  };
}

/** Readers of how a value is kept that is written. */
const { ttl, ttlJitter, grace, staleIfError, lease } = POLICY;
const KEEPING = { ttl, ttlJitter, grace, staleIfError, tags };
const WRITE = { ...KEEPING, lease, wait: duration, signal: abortSignal };

function keepingOf(
  policy: Policy,
  { ttl: ttlMs, tags, ...given }: Given<typeof KEEPING>,
): Keeping & { readonly ttlMs: number | undefined } {
  return { policy: policyFrom(policy, given), tags, ttlMs };
}
