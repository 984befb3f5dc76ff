import type { AcquireOptions, Lock } from '@redcache/locks';

/** As much of a lock as a contender uses. */
export type SomeLock = Pick<Lock, 'fencingToken' | 'signal' | 'remainingMs' | 'release'>;

export interface SomeLocks {
  acquire(key: string, options: AcquireOptions): Promise<SomeLock>;
}

/**
 * Ways in which locks can be broken. `deaf`: their holder never learns of a loss. `sinking`: their
 * tokens fall. `endless`: after a while they are never given back.
 */
export type Broken = 'deaf' | 'sinking' | 'endless';

/** A number above all tokens: microseconds of a time far ahead. */
const ABOVE_ALL = 2n ** 53n;
/** As many are given back before the first that is not. */
const GIVEN_BACK = 20;

/** Locks as they are, but for one fault: what the judge has to find. */
export function broken(locks: SomeLocks, how: Broken): SomeLocks {
  let acquired = 0;
  return {
    acquire: async (key, options) => {
      const lock = await locks.acquire(key, options);
      acquired += 1;
      return FAULTS[how](lock, acquired);
    },
  };
}

const FAULTS: Record<Broken, (lock: SomeLock, count: number) => SomeLock> = {
  deaf: (lock) => ({
    fencingToken: lock.fencingToken,
    signal: new AbortController().signal,
    remainingMs: () => 1,
    release: () => lock.release(),
  }),
  sinking: (lock) => ({
    fencingToken: ABOVE_ALL - lock.fencingToken,
    signal: lock.signal,
    remainingMs: () => lock.remainingMs(),
    release: () => lock.release(),
  }),
  endless: (lock, count) => ({
    fencingToken: lock.fencingToken,
    signal: lock.signal,
    remainingMs: () => lock.remainingMs(),
    release: async () => (count > GIVEN_BACK ? 'released' : lock.release()),
  }),
};
