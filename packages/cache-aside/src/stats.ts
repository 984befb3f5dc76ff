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
  /** Loads of values that were still served, by why, and those for which there was no room. */
  readonly refreshes: Readonly<Record<RefreshCause, number>>;
  readonly refreshesDropped: number;
  /** Loader calls; one `loadMany` call counts once for each key it was given. */
  readonly loads: number;
  readonly loadFailures: number;
  /** Loads whose value was returned but not stored, because the key changed meanwhile. */
  readonly lostLeases: number;
  /** Callers who joined a read or load that was already under way here. */
  readonly coalesced: number;
  /** Waits for the load of another process, and what ended them. */
  readonly waits: number;
  readonly wokenByPush: number;
  readonly wokenByTimer: number;
  readonly writes: number;
  readonly deletes: number;
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

export class Counters {
  staleHits = 0;
  refreshesDropped = 0;
  readonly refreshes: Record<RefreshCause, number> = { grace: 0, early: 0, hot: 0 };
  localHits = 0;
  negativeHits = 0;
  redisHits = 0;
  loads = 0;
  loadFailures = 0;
  lostLeases = 0;
  coalesced = 0;
  waits = 0;
  wokenByPush = 0;
  wokenByTimer = 0;
  writes = 0;
  deletes = 0;
  unavailable = 0;
  unknownOutcomes = 0;

  refreshed(cause: RefreshCause): void {
    this.refreshes[cause] += 1;
  }

  /** As they are now. */
  snapshot(): FamilyStats {
    return { ...this, refreshes: { ...this.refreshes } };
  }
}

/** What several have counted, together. */
export function sumOf(all: readonly FamilyStats[]): FamilyStats {
  const sum: Record<string, unknown> & { refreshes: Record<string, number> } = { refreshes: {} };
  for (const { refreshes, ...counters } of all) {
    addTo(sum as Record<string, number>, counters);
    addTo(sum.refreshes, refreshes);
  }
  return sum as unknown as FamilyStats;
}

function addTo(sum: Record<string, number>, counted: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(counted)) sum[name] = (sum[name] ?? 0) + count;
}
