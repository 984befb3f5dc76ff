import { ConfigError, type Duration } from '@redcache/core';
import {
  count,
  duration,
  type Given,
  type OptionReader,
  oneOf,
  optional,
  ratio,
  readGiven,
  readOptions,
} from '@redcache/core/toolkit';
import type { AgeRules, EarlyRefresh, HotKeys } from './read/judgement.ts';

/** What a whole cache, a family and a single call may all decide. */
export interface PolicyOptions {
  /** How long a value is fresh; default '5m'. */
  readonly ttl?: Duration;
  /**
   * The longest a copy lives in this process; default: as long as in Redis. Never longer than the
   * `ttl` of the client's `clientSideCache`.
   */
  readonly localTtl?: Duration;
  /** How long the knowledge that a key is absent lives; default '10s'. */
  readonly negativeTtl?: Duration;
  /** By which part of itself a TTL may be shorter, by chance; default 0, at most below 1. */
  readonly ttlJitter?: number;
  /** How long after its TTL a value is served while it is loaded anew behind; default false. */
  readonly grace?: Duration | false;
  /** How long after its TTL a value is served if it can't be loaded anew; default false. */
  readonly staleIfError?: Duration | false;
  /**
   * Loads a value anew before it ages: once `after` of its life is over (default 0.8), by chance, the
   * more likely the longer its load took; `beta` (default 1) above 1 is earlier. Default false.
   */
  readonly earlyRefresh?: { readonly after?: number; readonly beta?: number } | false;
  /**
   * Loads a value anew before it ages if it was used `threshold` times within `window`; default false.
   */
  readonly hotKeys?: { readonly threshold: number; readonly window: Duration } | false;
  /** Lease of a load, extended while its loader runs; default '10s'. */
  readonly lease?: Duration;
  /** For how long the error of a loader is given to whoever asks for the key; default false. */
  readonly errorTtl?: Duration | false;
  /** What a read does while Redis is away: call the loader and store nothing (default), or throw. */
  readonly onUnavailable?: 'load' | 'throw';
  /** What becomes of a load when all its callers have gone: it is told to stop (default), or goes on. */
  readonly onAbandoned?: 'abort' | 'finish';
}

/** How long calls may take. */
export interface TimeoutOptions {
  /** How long a caller waits for a value to be loaded anew while there is one that has aged. */
  readonly soft?: Duration | false;
  /**
   * The longest a loader may run, a schema that judges its value included, and a caller waits for somebody
   * else's or, while Redis is away, for his turn; default '30s'.
   */
  readonly hard?: Duration;
}

/** Durations in milliseconds, defaults filled in. */
export interface Policy extends AgeRules {
  readonly ttlMs: number;
  readonly localTtlMs: number;
  readonly negativeTtlMs: number;
  readonly ttlJitter: number;
  readonly leaseMs: number;
  readonly errorTtlMs: number;
  readonly onUnavailable: 'load' | 'throw';
  readonly onAbandoned: 'abort' | 'finish';
  readonly softMs: number;
  readonly hardMs: number;
}

export const DEFAULT_POLICY: Policy = {
  ttlMs: 300_000,
  localTtlMs: Number.POSITIVE_INFINITY,
  negativeTtlMs: 10_000,
  ttlJitter: 0,
  graceMs: 0,
  staleIfErrorMs: 0,
  earlyRefresh: undefined,
  hotKeys: undefined,
  leaseMs: 10_000,
  errorTtlMs: 0,
  onUnavailable: 'load',
  onAbandoned: 'abort',
  softMs: 0,
  hardMs: 30_000,
};

/** How long a key outlives the freshness of its value. */
export function tailMs({ graceMs, staleIfErrorMs }: AgeRules): number {
  return Math.max(graceMs, staleIfErrorMs);
}

/** Whether a value is served as it is until its end, and nothing is to be decided before. */
export function isPlain(policy: Policy): boolean {
  return tailMs(policy) === 0 && policy.earlyRefresh === undefined && policy.hotKeys === undefined;
}

/** A TTL, shortened by chance. */
export function jittered(ttlMs: number, { ttlJitter }: Policy): number {
  return ttlJitter === 0 ? ttlMs : Math.max(1, Math.round(ttlMs * (1 - ttlJitter * Math.random())));
}

/** `off`: what `false` stands for. */
export function offOr<T, F>(reader: OptionReader<T>, off: F): OptionReader<T | F> {
  return (value, name) => (value === false ? off : reader(value, name));
}

const positive: OptionReader<number> = (value, name) => {
  if (typeof value !== 'number' || !(value > 0 && value < Number.POSITIVE_INFINITY))
    throw new ConfigError(`${name} must be a number above 0`);
  return value;
};

const earlyRefresh: OptionReader<EarlyRefresh> = (value, name) =>
  readOptions(name, value, {
    after: optional(ratio(0, 1), 0.8),
    beta: optional(positive, 1),
  });

const hotKeys: OptionReader<HotKeys> = (value, name) => {
  const { threshold, window } = readOptions(name, value, { threshold: count, window: duration });
  return { threshold, windowMs: window };
};

/** `null`: what is switched off. */
type PolicyReaders = {
  readonly ttl: OptionReader<number>;
  readonly localTtl: OptionReader<number>;
  readonly negativeTtl: OptionReader<number>;
  readonly ttlJitter: OptionReader<number>;
  readonly grace: OptionReader<number>;
  readonly staleIfError: OptionReader<number>;
  readonly earlyRefresh: OptionReader<EarlyRefresh | null>;
  readonly hotKeys: OptionReader<HotKeys | null>;
  readonly lease: OptionReader<number>;
  readonly errorTtl: OptionReader<number>;
  readonly onUnavailable: OptionReader<Policy['onUnavailable']>;
  readonly onAbandoned: OptionReader<Policy['onAbandoned']>;
};

/** Readers of the options of a policy. */
export const POLICY: PolicyReaders = {
  ttl: duration,
  localTtl: duration,
  negativeTtl: duration,
  ttlJitter: ratio(0, 1),
  grace: offOr(duration, 0),
  staleIfError: offOr(duration, 0),
  earlyRefresh: offOr(earlyRefresh, null),
  hotKeys: offOr(hotKeys, null),
  lease: duration,
  errorTtl: offOr(duration, 0),
  onUnavailable: oneOf('load', 'throw'),
  onAbandoned: oneOf('abort', 'finish'),
};

/** Readers of the times that a call, too, may set. */
export const TIMES: {
  readonly soft: OptionReader<number>;
  readonly hard: OptionReader<number>;
} = { soft: offOr(duration, 0), hard: duration };

export const times: OptionReader<Given<typeof TIMES>> = (value, name) =>
  readGiven(name, value, TIMES);

/** What is left out is as in `fallback`. */
export function policyFrom(
  fallback: Policy,
  given: Given<typeof POLICY>,
  { soft, hard }: Given<typeof TIMES> = {},
): Policy {
  return {
    ttlMs: given.ttl ?? fallback.ttlMs,
    localTtlMs: given.localTtl ?? fallback.localTtlMs,
    negativeTtlMs: given.negativeTtl ?? fallback.negativeTtlMs,
    ttlJitter: given.ttlJitter ?? fallback.ttlJitter,
    graceMs: given.grace ?? fallback.graceMs,
    staleIfErrorMs: given.staleIfError ?? fallback.staleIfErrorMs,
    earlyRefresh: unlessOff(given.earlyRefresh, fallback.earlyRefresh),
    hotKeys: unlessOff(given.hotKeys, fallback.hotKeys),
    leaseMs: given.lease ?? fallback.leaseMs,
    errorTtlMs: given.errorTtl ?? fallback.errorTtlMs,
    onUnavailable: given.onUnavailable ?? fallback.onUnavailable,
    onAbandoned: given.onAbandoned ?? fallback.onAbandoned,
    softMs: soft ?? fallback.softMs,
    hardMs: hard ?? fallback.hardMs,
  };
}

function unlessOff<T>(given: T | null | undefined, fallback: T | undefined): T | undefined {
  return given === undefined ? fallback : (given ?? undefined);
}
