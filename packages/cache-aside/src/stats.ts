import { type TimeStats, Times } from '@redcache/core/toolkit';
import type { RefreshCause } from './refresh/refreshes.ts';

/** Counters of one cache since it was made. The engine's own are in `trackingOf(client).stats()`. */
export interface CacheAsideStats {
  /** Values served from this process. */
  readonly localHits: number;
  /** "Known to be absent", served from this process. */
  readonly negativeHits: number;
  /** Values and absences read from Redis. */
  readonly redisHits: number;
  /** Values served though they had aged: within `grace`, after `timeout.soft`, or since a load failed. */
  readonly staleHits: number;
  /** Reads that found nothing to serve, here or in Redis: loaded then, or `undefined` without a loader. */
  readonly misses: number;
  /** Callers who joined a read or load that was already under way here. */
  readonly coalesced: number;
  /** Loads of values that were still served, by why, and those for which there was no room. */
  readonly refreshes: Readonly<Record<RefreshCause, number>>;
  readonly refreshesDropped: number;
  /** Loader calls; one `loadMany` call counts once for each key it was given. */
  readonly loads: number;
  /** Those that failed, but for those that were ended because nobody waited any more. */
  readonly loadFailures: number;
  /** From the call of a loader to its end, whatever that was; one `loadMany` call is one time. */
  readonly loadTime: TimeStats;
  /** Loads whose value was returned but not stored, because the key changed meanwhile. */
  readonly lostLeases: number;
  /** Waits for the load of another process, what ended them, and how long they took. */
  readonly waits: number;
  readonly wokenByPush: number;
  readonly wokenByTimer: number;
  readonly waitTime: TimeStats;
  readonly writes: number;
  readonly deletes: number;
  /** Of values as they stand in Redis, headers included: read from there, and stored there. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Calls for which Redis could not be used. */
  readonly unavailable: number;
  /** Deletes and writes that went unanswered, and how many of their keys still are out of use. */
  readonly unknownOutcomes: number;
  readonly uncertainKeys: number;
  /** What of the above was of families, by their names. */
  readonly families: Readonly<Record<string, FamilyStats>>;
}

/** Counters of one family of values. */
export type FamilyStats = Omit<CacheAsideStats, 'uncertainKeys' | 'families'>;

/** What is counted as it happens. Each is one increment; times go to histograms off the hot path. */
export class Counters {
  localHits = 0;
  negativeHits = 0;
  redisHits = 0;
  staleHits = 0;
  misses = 0;
  coalesced = 0;
  readonly refreshes: Record<RefreshCause, number> = { grace: 0, early: 0, hot: 0 };
  refreshesDropped = 0;
  loads = 0;
  loadFailures = 0;
  readonly loadTime: Times = new Times();
  lostLeases = 0;
  waits = 0;
  wokenByPush = 0;
  wokenByTimer = 0;
  readonly waitTime: Times = new Times();
  writes = 0;
  deletes = 0;
  bytesRead = 0;
  bytesWritten = 0;
  unavailable = 0;
  unknownOutcomes = 0;

  /** They stay as they are, whatever is counted later. */
  stats(): FamilyStats {
    const { refreshes, loadTime, waitTime, ...counts } = this;
    return {
      ...counts,
      refreshes: { ...refreshes },
      loadTime: loadTime.stats(),
      waitTime: waitTime.stats(),
    };
  }

  /** Counts what another has counted. */
  add(other: Counters): void {
    const { refreshes, loadTime, waitTime, ...counts } = other;
    addTo(this, counts);
    addTo(this.refreshes, refreshes);
    this.loadTime.add(loadTime);
    this.waitTime.add(waitTime);
  }
}

/** What several have counted, together. */
export function sumOf(all: readonly Counters[]): FamilyStats {
  const sum = new Counters();
  for (const each of all) sum.add(each);
  return sum.stats();
}

function addTo<K extends string>(
  sum: NoInfer<Record<K, number>>,
  counted: Readonly<Record<K, number>>,
): void {
  for (const name of Object.keys(counted) as K[]) sum[name] += counted[name];
}
