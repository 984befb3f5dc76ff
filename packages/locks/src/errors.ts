import { RedcacheError } from '@redcache/core';
import type { Vote } from './quorum/majority.ts';

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

/** So many callers of this process wait for locks that no more may. Nothing was sent. */
export class TooManyWaitingError extends RedcacheError {
  override readonly name = 'TooManyWaitingError';

  constructor(key: string, maxWaiting: number) {
    super(
      'REDCACHE_TOO_MANY_WAITING',
      `the lock '${key}' can't be waited for: ${maxWaiting} callers wait for locks already (maxWaiting)`,
      { key },
    );
  }
}

/** What one server of a quorum said. */
export interface QuorumVote {
  /** Which of the `clients`, counted from 0, or of the keys of `keyMajority`. */
  readonly server: number;
  /** `held`: it answered, and the lock is not ours there. `failed`: it refused or did not answer. */
  readonly vote: 'granted' | 'held' | 'failed';
  /** How long somebody else has the lock there; `Infinity` without end. */
  readonly remainingMs?: number;
  readonly error?: unknown;
}

/** So many servers of a quorum failed that the others are no majority. It may pass by itself. */
export class QuorumError extends RedcacheError {
  override readonly name = 'QuorumError';
  /** In the order of the servers. */
  readonly votes: readonly QuorumVote[];

  constructor(key: string, servers: number, votes: readonly Vote[]) {
    const failures = votes.flatMap((vote) => (vote.vote === 'failed' ? [vote.error] : []));
    super(
      'REDCACHE_QUORUM',
      `lock '${key}': no majority, ${failures.length} of ${servers} servers failed`,
      { key, cause: failures[0] },
    );
    this.votes = votes.map(publicVote).sort((a, b) => a.server - b.server);
  }
}

function publicVote(vote: Vote): QuorumVote {
  const { server } = vote;
  if (vote.vote === 'failed') return { server, vote: 'failed', error: vote.error };
  if (vote.vote === 'granted' || vote.remainingMs === undefined) return { server, vote: vote.vote };
  return { server, vote: 'held', remainingMs: vote.remainingMs < 0 ? Infinity : vote.remainingMs };
}
