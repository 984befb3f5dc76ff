import { type Clock, ConfigError, type Duration, systemClock } from '@redcache/core';
import type { AnyClient } from '@redcache/core/node-redis';
import {
  abortSignal,
  count,
  countTo,
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

/** Where the locks are kept. */
export type LocksOptions = LocksRules & (OneDeployment | IndependentServers);

export interface OneDeployment {
  /**
   * A client of node-redis made with `createClient`, `createClientPool`, `createCluster` or
   * `createSentinel`, with or without `clientSideCache`. It must stay in its database: one that
   * selects another has its locks there from then on.
   */
  readonly client: AnyClient;
  readonly clients?: undefined;
  /**
   * How many keys must be held of a lock, out of twice as many less one; default 1, at most 10. In a
   * cluster the keys are on different servers, so the lock outlives the loss of a minority of them.
   */
  readonly keyMajority?: number;
}

export interface IndependentServers {
  readonly client?: undefined;
  /**
   * One client for each of several servers that know nothing of each other, usually 3 or 5; each of
   * any kind. A lock is held by whoever has it on a majority of them.
   */
  readonly clients: readonly AnyClient[];
  readonly keyMajority?: undefined;
}

export interface LocksRules {
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
  /**
   * For how long, and to how many of its own callers, a process may pass on a lock that other
   * processes wait for, before it is their turn; default 50 ms, 1000. One that nobody else waits for
   * is passed on for as long as there are callers.
   */
  readonly handoff?: HandoffOptions;
  /**
   * How many callers of this process may be waiting at once, for all locks of one `createLocks`
   * together; one more is refused with `TooManyWaitingError`. Default 10 000.
   */
  readonly maxWaiting?: number;
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

export interface HandoffOptions {
  readonly maxMs?: Duration;
  readonly maxCount?: number;
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
  readonly handoff: HandoffSettings;
  readonly maxWaiting: number;
  readonly commandTimeoutMs: number;
  readonly clock: Clock;
  /** What a call wants that says nothing. */
  readonly acquire: AcquireSettings;
}

export interface RetrySettings {
  readonly delayMs: number;
  readonly jitter: number;
  readonly attempts: number;
}

export interface HandoffSettings {
  readonly maxMs: number;
  readonly maxCount: number;
}

/** Beside others, or alone. */
export type Access = 'read' | 'write';

/** What one call wants. */
export interface AcquireSettings {
  /** Left out where there is only one way to want the lock. */
  readonly access?: Access;
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

/** More would let the tokens run ahead of the clock that has to cover for them after a flush. */
const MOST_HANDOFFS = 1_000_000;

const handoffOptions: OptionReader<HandoffSettings> = (value, name) => {
  const read = readOptions(name, value, {
    maxMs: optional(duration, 50),
    maxCount: optional(countTo(MOST_HANDOFFS), 1_000),
  });
  return read;
};

export type LockPreset = Required<Pick<LocksOptions, 'lease' | 'driftRatio' | 'retry'>>;

/**
 * Options for common uses, to be spread into those of `createLocks`.
 *
 * `default`: a lock around work of seconds. `rateLimiter`: one that is held for moments, where it is
 * better to be refused soon than to wait. `retry` says how often and when to ask again where no push
 * is heard; elsewhere those who wait are woken, for as long as `wait` allows.
 */
export const lockPresets: {
  readonly default: LockPreset;
  readonly rateLimiter: LockPreset;
} = {
  default: {
    lease: '10s',
    driftRatio: 0.01,
    retry: { attempts: 3, delay: '500ms', jitter: 0.5 },
  },
  rateLimiter: {
    lease: '1s',
    driftRatio: 0.01,
    retry: { attempts: 2, delay: '50ms', jitter: 0.5 },
  },
};

const client: OptionReader<AnyClient> = having<AnyClient>('sendCommand', 'on');

const clients: OptionReader<readonly AnyClient[]> = (value, name) => {
  if (!Array.isArray(value) || value.length < 2)
    throw new ConfigError(`${name} must be an array of at least 2 clients`);
  if (new Set(value).size < value.length)
    throw new ConfigError(`${name} must be one for each server: there is one twice`);
  return value.map((each: unknown, i) => client(each, `${name}[${i}]`));
};

/** Each is one more command for whatever is done. */
const MOST_KEYS_NEEDED = 10;

export interface ReadLocksOptions extends LocksSettings {
  /** One, or one for each of the independent servers. */
  readonly clients: readonly AnyClient[];
  readonly keyMajority: number;
  readonly tracking: TrackingMode;
}

export function readLocksOptions(options: unknown): ReadLocksOptions {
  const read = readOptions('createLocks', options, {
    client: optional<AnyClient | undefined>(client, undefined),
    clients: optional<readonly AnyClient[] | undefined>(clients, undefined),
    keyMajority: optional<number | undefined>(countTo(MOST_KEYS_NEEDED), undefined),
    prefix: optional(text, 'redcache:lock:'),
    lease: optional(leaseDuration, 10_000),
    autoExtend: optional(flag, true),
    driftRatio: optional(ratio(0, 0.5), 0.01),
    tracking: optional(oneOf('auto', 'poll'), 'auto'),
    retry: retryOptions,
    handoff: handoffOptions,
    maxWaiting: optional(count, 10_000),
    commandTimeout: optional(duration, 1_000),
    clock: optional(having<Clock>('nowMs', 'setTimer'), systemClock),
  });
  const { lease: leaseMs, commandTimeout: commandTimeoutMs, autoExtend, ...more } = read;
  const { client: one, clients: many, keyMajority, ...rest } = more;
  const acquire = { leaseMs, autoExtend, signal: undefined, waitMs: undefined };
  const settings = { ...rest, autoExtend, leaseMs, commandTimeoutMs, acquire };
  if (many === undefined) {
    if (one === undefined) throw new ConfigError('createLocks: there must be a client, or clients');
    return { ...settings, clients: [one], keyMajority: keyMajority ?? 1 };
  }
  if (one !== undefined) throw new ConfigError('createLocks: either client or clients, not both');
  // A majority of servers, each of which needs a majority of its keys, fails where either would do.
  if (keyMajority !== undefined)
    throw new ConfigError(
      'createLocks: keyMajority is for one client; with clients there is a key on each server',
    );
  return { ...settings, clients: many, keyMajority: 1 };
}

/** `where` names the call; `waits`: whether it takes `wait`. */
export function readAcquireOptions(
  where: string,
  waits: boolean,
  options: unknown,
  defaults: LocksSettings,
): AcquireSettings {
  // Most calls give none, and this is on the way of every one.
  if (options === undefined) return defaults.acquire;
  const readers = {
    lease: optional(leaseDuration, defaults.leaseMs),
    autoExtend: optional(flag, defaults.autoExtend),
    signal: abortSignal,
  };
  if (!waits) {
    const { lease, ...rest } = readOptions(where, options, readers);
    return { ...rest, leaseMs: lease, waitMs: undefined };
  }
  const wait = optional<number | undefined>(duration, undefined);
  const { lease, wait: waitMs, ...rest } = readOptions(where, options, { ...readers, wait });
  return { ...rest, leaseMs: lease, waitMs };
}
