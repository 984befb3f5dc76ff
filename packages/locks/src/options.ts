import { type Clock, ConfigError, type Duration, systemClock } from '@redcache/core';
import type { SingleClient } from '@redcache/core/node-redis';
import {
  abortSignal,
  count,
  duration,
  flag,
  having,
  type OptionReader,
  oneOf,
  optional,
  ratio,
  readOptions,
  text,
} from '@redcache/core/toolkit';
import type { TrackingMode } from './connections.ts';

export interface LocksOptions {
  /**
   * A client of node-redis made with `createClient`, with or without `clientSideCache`. It must stay
   * in its database: one that selects another has its locks there from then on.
   */
  readonly client: SingleClient;
  /** What the keys of the locks begin with in Redis; default 'redcache:lock:'. */
  readonly prefix?: string;
  /** How long a lock stands if its holder is heard of no more; default '10s', at least 10 ms. */
  readonly lease?: Duration;
  /** Extend at a third of the lease for as long as the lock is held; default true. */
  readonly autoExtend?: boolean;
  /** Part of a lease that the clocks of client and server may disagree about; default 0.01. */
  readonly driftRatio?: number;
  /**
   * `'auto'` (default): those who wait are told of a release by a push. A client without
   * `clientSideCache` gets one more connection for it when somebody first has to wait.
   *
   * `'poll'`: no further connection; those who wait ask again and again, and a holder learns of its
   * loss only when it extends the lease, or at the end of it.
   */
  readonly tracking?: TrackingMode;
  /** How to ask again where no push is heard. */
  readonly retry?: RetryOptions;
  /** How long an answer of Redis may take before it counts as unavailable; default '1s'. */
  readonly commandTimeout?: Duration;
  /** For tests and hosts with a clock of their own. */
  readonly clock?: Clock;
}

export interface RetryOptions {
  /** The first pause, doubled each time up to twenty times as long; default '50ms'. */
  readonly delay?: Duration;
  /** Part of each pause that is left to chance, so that many do not ask at once; default 0.5. */
  readonly jitter?: number;
  /** Polls before `acquire` gives up with `AcquireTimeoutError`; default: no limit but `wait`. */
  readonly attempts?: number;
}

export interface TryAcquireOptions {
  readonly lease?: Duration;
  readonly autoExtend?: boolean;
  /** The call rejects with its reason, as it is. A lock that is held already is not concerned. */
  readonly signal?: AbortSignal;
}

export interface AcquireOptions extends TryAcquireOptions {
  /** How long to wait for the lock; default: for ever. */
  readonly wait?: Duration;
}

/** What holds for all locks of one `createLocks`. */
export interface LocksSettings {
  readonly prefix: string;
  readonly leaseMs: number;
  readonly autoExtend: boolean;
  readonly driftRatio: number;
  readonly retry: RetrySettings;
  readonly commandTimeoutMs: number;
  readonly clock: Clock;
}

interface RetrySettings {
  readonly delayMs: number;
  readonly jitter: number;
  readonly attempts: number;
}

/** What one call wants. `try`: it does not wait for whoever has the lock. */
export interface AcquireSettings {
  readonly how: 'acquire' | 'try';
  readonly leaseMs: number;
  readonly autoExtend: boolean;
  readonly signal: AbortSignal | undefined;
  readonly waitMs: number | undefined;
}

/** Shorter ones would be over before they are confirmed. */
const SHORTEST_LEASE_MS = 10;

export const leaseDuration: OptionReader<number> = (value, name) => {
  const leaseMs = duration(value, name);
  if (leaseMs < SHORTEST_LEASE_MS)
    throw new ConfigError(`${name} must be at least ${SHORTEST_LEASE_MS} ms`);
  return leaseMs;
};

const retryOptions: OptionReader<RetrySettings> = (value, name) => {
  const read = readOptions(name, value, {
    delay: optional(duration, 50),
    jitter: optional(ratio(0, 1), 0.5),
    attempts: optional(count, Infinity),
  });
  return { delayMs: read.delay, jitter: read.jitter, attempts: read.attempts };
};

export function readLocksOptions(
  options: unknown,
): LocksSettings & { readonly client: SingleClient; readonly tracking: TrackingMode } {
  const read = readOptions('createLocks', options, {
    client: having<SingleClient>('sendCommand', 'duplicate', 'on'),
    prefix: optional(text, 'redcache:lock:'),
    lease: optional(leaseDuration, 10_000),
    autoExtend: optional(flag, true),
    driftRatio: optional(ratio(0, 0.5), 0.01),
    tracking: optional(oneOf('auto', 'poll'), 'auto'),
    retry: retryOptions,
    commandTimeout: optional(duration, 1_000),
    clock: optional(having<Clock>('nowMs', 'setTimer'), systemClock),
  });
  const { lease, commandTimeout, ...rest } = read;
  return { ...rest, leaseMs: lease, commandTimeoutMs: commandTimeout };
}

/** `where` names the call. */
export function readAcquireOptions(
  where: string,
  how: AcquireSettings['how'],
  options: unknown,
  defaults: LocksSettings,
): AcquireSettings {
  const readers = {
    lease: optional(leaseDuration, defaults.leaseMs),
    autoExtend: optional(flag, defaults.autoExtend),
    signal: abortSignal,
  };
  if (how === 'try') {
    const { lease, ...rest } = readOptions(where, options, readers);
    return { ...rest, how, leaseMs: lease, waitMs: undefined };
  }
  const wait = optional<number | undefined>(duration, undefined);
  const { lease, wait: waitMs, ...rest } = readOptions(where, options, { ...readers, wait });
  return { ...rest, how, leaseMs: lease, waitMs };
}
