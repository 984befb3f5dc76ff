import type { EvictionCause } from './store/lru.ts';
import type { TrackingState } from './tracking/state.ts';

/** Counters since the cache was made, and how it is now. */
export interface CacheStats {
  readonly state: TrackingState['is'];
  readonly entries: number;
  readonly bytes: number;
  readonly hits: number;
  readonly misses: number;
  /** Reads that joined one already under way. */
  readonly coalesced: number;
  /** Replies stored, and replies refused because something happened to their keys meanwhile. */
  readonly fills: number;
  readonly refusedFills: number;
  /** Keys named by invalidation pushes, and pushes that named none (FLUSHALL and the like). */
  readonly pushes: number;
  readonly flushes: number;
  readonly evictions: Readonly<Record<EvictionCause, number>>;
}

/** The counters themselves, written by the engine. */
export class Counters {
  hits = 0;
  misses = 0;
  coalesced = 0;
  fills = 0;
  refusedFills = 0;
  pushes = 0;
  flushes = 0;
  readonly evictions: Record<EvictionCause, number> = {
    size: 0,
    ttl: 0,
    invalidation: 0,
    flush: 0,
    'own-write': 0,
  };
}
