import type { Clock, Duration } from '@redcache/core';
import { ConfigError, systemClock } from '@redcache/core';
import type { SingleClient } from '@redcache/core/node-redis';
import {
  abortSignal,
  duration,
  having,
  type OptionReader,
  oneOf,
  optional,
  readOptions,
  text,
} from '@redcache/core/toolkit';
import { type CodecOption, codec } from './codecs/named.ts';
import { type CompressOptions, compression } from './compression.ts';
import type { Freeze } from './freeze.ts';
import type { FormatOptions } from './value.ts';

/** What a whole cache and a single call may both decide. */
export interface PolicyOptions {
  /** How long a value lives in Redis, and in every process at most; default '5m'. */
  readonly ttl?: Duration;
  /**
   * The longest a copy lives in this process; default: as long as in Redis. Never longer than the
   * `ttl` of the client's `clientSideCache`.
   */
  readonly localTtl?: Duration;
  /** How long the knowledge that a key is absent lives; default '10s'. */
  readonly negativeTtl?: Duration;
  /** Lease of a load, extended while its loader runs; default '10s'. */
  readonly lease?: Duration;
  /** What a read does while Redis is away: call the loader and store nothing (default), or throw. */
  readonly onUnavailable?: 'load' | 'throw';
}

export interface TimeoutOptions {
  /** The longest a call waits for an answer of Redis; default '250ms'. */
  readonly redis?: Duration;
  /** The longest a loader may run, and a caller waits for somebody else's; default '30s'. */
  readonly hard?: Duration;
}

export interface CacheOptions extends PolicyOptions {
  /** A node-redis client made with `clientSideCache: clientSideCache()`. */
  readonly client: SingleClient;
  /** Put before every key, with a colon; default none. */
  readonly namespace?: string;
  readonly timeout?: TimeoutOptions;
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
  /** For tests. */
  readonly clock?: Clock;
}

export interface GetOptions extends PolicyOptions {
  /** Ends this caller's wait; the load goes on as long as others wait for it. */
  readonly signal?: AbortSignal | undefined;
}

export interface SetOptions {
  readonly ttl?: Duration;
}

/** Durations in milliseconds, defaults filled in. */
export interface Policy {
  readonly ttlMs: number;
  readonly localTtlMs: number;
  readonly negativeTtlMs: number;
  readonly leaseMs: number;
  readonly onUnavailable: 'load' | 'throw';
}

export interface Settings {
  readonly client: SingleClient;
  readonly prefix: string;
  readonly redisMs: number;
  readonly hardMs: number;
  readonly format: FormatOptions;
  readonly clock: Clock;
  readonly policy: Policy;
}

const DEFAULT_POLICY: Policy = {
  ttlMs: 300_000,
  localTtlMs: Number.POSITIVE_INFINITY,
  negativeTtlMs: 10_000,
  leaseMs: 10_000,
  onUnavailable: 'load',
};

/** What is left out is as in `fallback`. */
function policyReaders(fallback: Policy) {
  return {
    ttl: optional(duration, fallback.ttlMs),
    localTtl: optional(duration, fallback.localTtlMs),
    negativeTtl: optional(duration, fallback.negativeTtlMs),
    lease: optional(duration, fallback.leaseMs),
    onUnavailable: optional(oneOf('load', 'throw'), fallback.onUnavailable),
  };
}

function policyFrom(
  read: {
    readonly [K in keyof ReturnType<typeof policyReaders>]: ReturnType<
      ReturnType<typeof policyReaders>[K]
    >;
  },
): Policy {
  return {
    ttlMs: read.ttl,
    localTtlMs: read.localTtl,
    negativeTtlMs: read.negativeTtl,
    leaseMs: read.lease,
    onUnavailable: read.onUnavailable,
  };
}

const freeze: OptionReader<Freeze> = (value, name) => {
  if (value !== true && value !== false && value !== 'clone')
    throw new ConfigError(`${name} must be true, false or 'clone'`);
  return value;
};

const timeout: OptionReader<{ redisMs: number; hardMs: number }> = (value, name) => {
  const read = readOptions(name, value, {
    redis: optional(duration, 250),
    hard: optional(duration, 30_000),
  });
  return { redisMs: read.redis, hardMs: read.hard };
};

export function readCacheOptions(options: CacheOptions): Settings {
  const read = readOptions('createCache', options, {
    client: having<SingleClient>('sendCommand'),
    ...policyReaders(DEFAULT_POLICY),
    namespace: optional(text, ''),
    timeout,
    freeze: optional(freeze, true),
    codec,
    compress: compression,
    foreign: optional(oneOf('absent', 'raw'), 'absent'),
    clock: optional(having<Clock>('nowMs', 'setTimer'), systemClock),
  });
  return {
    client: read.client,
    prefix: read.namespace === '' ? '' : `${read.namespace}:`,
    ...read.timeout,
    format: {
      freeze: read.freeze,
      codec: read.codec,
      compress: read.compress,
      foreign: read.foreign,
    },
    clock: read.clock,
    policy: policyFrom(read),
  };
}

/** The policy of one call: what it says itself, and the cache's for the rest. */
export function readGetOptions(
  where: string,
  options: GetOptions | undefined,
  policy: Policy,
): { readonly policy: Policy; readonly signal: AbortSignal | undefined } {
  if (options === undefined) return { policy, signal: undefined };
  const read = readOptions(where, options, { ...policyReaders(policy), signal: abortSignal });
  return { policy: policyFrom(read), signal: read.signal };
}

export function readSetOptions(
  where: string,
  options: SetOptions | undefined,
  policy: Policy,
): number {
  return readOptions(where, options, { ttl: optional(duration, policy.ttlMs) }).ttl;
}
