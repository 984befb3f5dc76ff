import { RedcacheError } from '@redcache/core';

/**
 * Why a lease stands no longer. `expired`: its time passed by the local clock, which is before it
 * passes on the server. `disconnected`: likewise, while Redis could not be reached. `deleted`,
 * `taken`, `flushed`: Redis said so. `closed`: this process gave it up.
 */
export type LossReason = 'expired' | 'deleted' | 'taken' | 'flushed' | 'disconnected' | 'closed';

const WHAT_HAPPENED: Readonly<Record<LossReason, string>> = {
  expired: 'its lease ended before it was extended',
  deleted: 'its key was deleted',
  taken: 'somebody else holds it now',
  flushed: 'the database was flushed',
  disconnected: 'its lease ended while Redis could not be reached',
  closed: 'this process gave it up',
};

/** A lock is held no longer; also the `reason` of its signal. Stop what it protected. */
export class LockLostError extends RedcacheError {
  override readonly name = 'LockLostError';
  readonly reason: LossReason;

  constructor(key: string, reason: LossReason) {
    super('REDCACHE_LOCK_LOST', `the lock '${key}' is lost: ${WHAT_HAPPENED[reason]}`, { key });
    this.reason = reason;
  }
}

/** The lock could not be had within the time the caller gave. `cause`: the last failure, if any. */
export class AcquireTimeoutError extends RedcacheError {
  override readonly name = 'AcquireTimeoutError';

  constructor(key: string, limit: string, cause?: unknown) {
    super(
      'REDCACHE_ACQUIRE_TIMEOUT',
      `the lock '${key}' could not be acquired within ${limit}`,
      cause === undefined ? { key } : { key, cause },
    );
  }
}
