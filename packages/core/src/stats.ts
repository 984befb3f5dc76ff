import type { EvictionCause } from './store/store.ts';
import type { TrackingState } from './tracking/state.ts';

/** Counters since the cache was made, and how it is now. */
export interface CacheStats {
  /** The best state that any of its connections is in. */
  readonly state: TrackingState['is'];
  /** Why it is `untracked` or `unverified`. */
  readonly reason?: unknown;
  /** Connections that are tracked at the moment. */
  readonly connections: number;
  /** Milliseconds since the connection that has been quiet longest was heard; none is tracked: 0. */
  readonly heartbeatAgeMs: number;
  readonly entries: number;
  readonly bytes: number;
  readonly hits: number;
  readonly misses: number;
  /** Reads that joined one already under way. */
  readonly coalesced: number;
  /** Reads that asked Redis, those of them that failed, and the time they took together. */
  readonly loads: number;
  readonly failedLoads: number;
  readonly loadMs: number;
  /** Replies stored, and replies refused because something happened to their keys meanwhile. */
  readonly fills: number;
  readonly refusedFills: number;
  /** Keys named by invalidation pushes, and pushes that named none (FLUSHALL and the like). */
  readonly pushes: number;
  readonly flushes: number;
  /** Connections that came up, after the first of each. */
  readonly reconnects: number;
  /** Connections replaced because they had fallen silent. */
  readonly silences: number;
  readonly evictions: Readonly<Record<EvictionCause, number>>;
}

/** The counters themselves, written by the engine. */
export class Counters {
  hits = 0;
  misses = 0;
  coalesced = 0;
  loads = 0;
  failedLoads = 0;
  loadMs = 0;
  fills = 0;
  refusedFills = 0;
  pushes = 0;
  flushes = 0;
  /** Of connections that are gone; the others count their own. */
  reconnects = 0;
  silences = 0;
  readonly evictions: Record<EvictionCause, number> = {
    size: 0,
    bytes: 0,
    ttl: 0,
    invalidation: 0,
    flush: 0,
    disconnect: 0,
    'own-write': 0,
  };
}
