import type { Pace } from './locker.ts';

/** It does not extend a lock by itself: the lease has to outlast whatever is done under the lock. */
export const REDLOCK_LEASE_MS = 60_000;

/** What both descendants of redlock take. Whoever waits does so for as long as it takes. */
interface RedlockSettings {
  readonly retryCount: number;
  readonly retryDelay?: number;
  readonly retryJitter?: number;
}

/** By default they ask every 200 ms, give or take 100. */
export const REDLOCK_SETTINGS: Readonly<Record<Pace, RedlockSettings>> = {
  default: { retryCount: -1 },
  tuned: { retryCount: -1, retryDelay: 10, retryJitter: 5 },
};
