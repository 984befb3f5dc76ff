import { openRaw } from './raw.ts';
import { openRedcache } from './redcache.ts';
import { openRedisSemaphore } from './redis-semaphore.ts';
import { openRedlock } from './redlock.ts';
import { openSesamecareRedlock } from './sesamecare-redlock.ts';

/** A lock that is held. */
export interface Held {
  /** Answers what the library answers; 'lost' if it was not held any more. */
  release(): Promise<unknown>;
}

/** One way to lock, over one connection of its own. It ends with its process at the latest. */
export interface Locker {
  /** Waits for as long as it takes. */
  acquire(key: string): Promise<Held>;
}

/** What is measured. `raw`: the least that a lock has to send; it cannot wait. */
export type Library = 'raw' | 'redcache' | Peer;
export type Peer = 'redlock' | 'sesamecare' | 'redis-semaphore';

/**
 * How often those who wait ask again: as the library does if nothing is said, or so often that a
 * hand-over is short. Only those who poll make a difference.
 */
export type Pace = 'default' | 'tuned';

export const PEERS: readonly Peer[] = ['redlock', 'sesamecare', 'redis-semaphore'];

const OPENERS: Readonly<Record<Library, (url: string, pace: Pace) => Promise<Locker>>> = {
  raw: openRaw,
  redcache: openRedcache,
  redlock: openRedlock,
  sesamecare: openSesamecareRedlock,
  'redis-semaphore': openRedisSemaphore,
};

export function openLocker(library: Library, pace: Pace, url: string): Promise<Locker> {
  return OPENERS[library](url, pace);
}
