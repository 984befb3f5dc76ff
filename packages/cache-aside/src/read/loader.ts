import { types } from 'node:util';
import { type Clock, ConfigError, type Duration } from '@redcache/core';
import { durationMs } from '@redcache/core/toolkit';
import { LoadTimeoutError } from '../errors.ts';

/** What a loader is told, and may say, beside the value. */
export interface LoadContext {
  /**
   * Aborted when the value can no longer be stored or nobody waits for it: the lease was lost, all
   * callers have gone, `timeout.hard` has passed, the cache was closed.
   */
  readonly signal: AbortSignal;
  /** The value that was there before, if it was to be loaded anew and not invalidated, and its age. */
  readonly stale: { readonly value: unknown; readonly ageMs: number } | undefined;
  /** Sets the TTL of what this load answers. */
  ttl(duration: Duration): void;
  /** What this load answers reaches its callers and is not stored. */
  skip(): void;
}

/** Answers the value of a key from the source of truth; `undefined` says that there is none. */
export type Loader<V> = (
  key: string,
  context: LoadContext,
) => V | undefined | Promise<V | undefined>;

/** Answers the values of many keys; a key it leaves out is absent. */
export type LoadMany<V> = (keys: string[], context: LoadContext) => Loads<V> | Promise<Loads<V>>;
export type Loads<V> = ReadonlyMap<string, V | undefined> | Readonly<Record<string, V | undefined>>;

/**
 * Whether a loader failed because it was told to stop: with the reason it was given, or with the
 * error that Node and others make of it.
 */
export function gaveUp(error: unknown, { aborted, reason }: AbortSignal): boolean {
  if (!aborted) return false;
  const { name, cause } = Object(error) as Partial<Error>;
  return error === reason || cause === reason || name === 'AbortError';
}

/** A loader for any number of keys, which is what both kinds become. */
export type LoadAll = (
  keys: string[],
  context: LoadContext,
) => Promise<ReadonlyMap<string, unknown>>;

export interface Loaded {
  readonly values: ReadonlyMap<string, unknown>;
  readonly ttlMs: number | undefined;
  readonly skipped: boolean;
  readonly tookMs: number;
}

export function loadOne<V>(loader: Loader<V>): LoadAll {
  return async (keys, context) => {
    const [key] = keys as [string];
    return new Map([[key, await loader(key, context)]]);
  };
}

export function loadSeveral<V>(loadMany: LoadMany<V>): LoadAll {
  return async (keys, context) => {
    const loads: unknown = await loadMany(keys, context);
    if (types.isMap(loads)) return loads as ReadonlyMap<string, unknown>;
    // Any other list of things has no keys, and would say that all are absent.
    if (typeof loads === 'object' && loads !== null && !(Symbol.iterator in loads))
      return new Map(Object.entries(loads));
    throw new ConfigError('loadMany must answer a Map or an object from key to value');
  };
}

/**
 * Calls the loader and bounds it: settles with what it answers, or rejects with its own error, with
 * {@link LoadTimeoutError} after `hardMs`, or with the reason of `abandoned`, whichever is first. A
 * loader that goes on regardless is not waited for.
 *
 * `lost`: the lease; its loss is told to the loader but ends nothing, since its callers still want
 * the value. See {@link gaveUp} for one that gives up.
 */
export async function runLoader(
  load: LoadAll,
  keys: string[],
  bounds: {
    readonly hardMs: number;
    readonly clock: Clock;
    readonly abandoned: AbortSignal;
    readonly lost: AbortSignal | undefined;
    readonly stale?: LoadContext['stale'];
  },
): Promise<Loaded> {
  const { hardMs, clock, abandoned, lost, stale } = bounds;
  abandoned.throwIfAborted();
  const told = new AbortController();
  let ttlMs: number | undefined;
  let skipped = false;
  const context: LoadContext = {
    signal: told.signal,
    stale,
    ttl: (duration) => {
      ttlMs = durationMs(duration, 'ctx.ttl');
    },
    skip: () => {
      skipped = true;
    },
  };
  const startedAtMs = clock.nowMs();
  const onLost = (): void => told.abort(lost?.reason);
  if (lost?.aborted) onLost();
  lost?.addEventListener('abort', onLost, { once: true });
  let end = (): void => {};
  const ended = new Promise<never>((_, reject) => {
    const give = (reason: unknown): void => {
      told.abort(reason);
      reject(reason);
    };
    const onAbandoned = (): void => give(abandoned.reason);
    abandoned.addEventListener('abort', onAbandoned, { once: true });
    const timer = clock.setTimer(hardMs, () =>
      give(new LoadTimeoutError(`the loader did not settle within ${hardMs} ms`)),
    );
    end = () => {
      timer.cancel();
      abandoned.removeEventListener('abort', onAbandoned);
    };
  });
  try {
    const values = await Promise.race([load(keys, context), ended]);
    return { values, ttlMs, skipped, tookMs: clock.nowMs() - startedAtMs };
  } finally {
    end();
    lost?.removeEventListener('abort', onLost);
  }
}
