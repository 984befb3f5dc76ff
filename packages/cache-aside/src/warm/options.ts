import type { Duration } from '@redcache/core';
import {
  callback,
  count,
  countTo,
  duration,
  oneOf,
  optional,
  optionals,
  readOptions,
} from '@redcache/core/toolkit';
import { type GetOptions, READ, type Wish, wishFrom } from '../options.ts';
import type { Policy } from '../policy.ts';
import type { FamilyWarmProgress, OnProgress } from './progress.ts';
import type { WarmPlan } from './warming.ts';

/** How a cache is warmed; besides what {@link GetOptions} says of each value. */
export interface WarmOptions<V = unknown> extends Omit<GetOptions<V>, 'onUnavailable'> {
  /** Batches at a time; default 4. */
  readonly concurrency?: number;
  /** Keys given to `loadMany` at most; default 100. */
  readonly batchSize?: number;
  /** Hears how far it is: at the first batch, every `progressEvery`, and once at the end. */
  readonly onProgress?: OnProgress;
  /** Default '250ms'. */
  readonly progressEvery?: Duration;
  /** How many keys there are, for the estimate; a list and a Set say so themselves. */
  readonly total?: number;
  /** After a key has failed the others are warmed (default), or no further batch begins. */
  readonly onError?: 'continue' | 'stop';
  /** Ends the run, and its loads. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Loads every key anew. Default: keys that are there are skipped, so that a second run goes on where
   * the first one stopped.
   */
  readonly refresh?: boolean;
  /** Also keeps copies in this process, for so long. Default: values go to Redis alone. */
  readonly localTtl?: Duration;
}

/** The same for a family, whose progress is told in its ids. */
export interface FamilyWarmOptions<Id, V = unknown> extends Omit<WarmOptions<V>, 'onProgress'> {
  readonly onProgress?: OnProgress<FamilyWarmProgress<Id>>;
}

const MOST_BATCHES = 1_000;
const MOST_KEYS_A_BATCH = 10_000;

export function readWarmOptions<V>(
  options: Omit<WarmOptions<V>, 'onProgress'> | undefined,
  policy: Policy,
): { readonly wish: Wish; readonly plan: WarmPlan } {
  const { onUnavailable: _, ...readers } = optionals(READ);
  const read = readOptions('warm', options, {
    ...readers,
    // Thousands of values that are used once are not to drive those out that are used often.
    localTtl: optional(duration, 0),
    concurrency: optional(countTo(MOST_BATCHES), 4),
    batchSize: optional(countTo(MOST_KEYS_A_BATCH), 100),
    onProgress: callback<OnProgress<never>>(),
    progressEvery: optional(duration, 250),
    total: optional<number | undefined>(count, undefined),
    onError: optional(oneOf('continue', 'stop'), 'continue'),
  });
  // Without Redis a load would be for nothing.
  const wish = wishFrom(policy, { ...read, onUnavailable: 'throw' });
  return {
    // What has aged is loaded anew while its batch waits, and not behind: for longer than that can take.
    wish: { ...wish, policy: { ...wish.policy, softMs: 2 * wish.policy.hardMs } },
    plan: {
      concurrency: read.concurrency,
      batchSize: read.batchSize,
      onError: read.onError,
      onProgress: read.onProgress,
      progressEveryMs: read.progressEvery,
      total: read.total,
    },
  };
}
