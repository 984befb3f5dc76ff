import type { Duration } from '@redcache/core';
import { publish } from './channels.ts';
import { LockLostError, type LossReason } from './errors.ts';
import type { Lease } from './lease/lease.ts';
import type { LockCommands } from './lock-commands.ts';
import { leaseDuration } from './options.ts';
import type { Leftover, Releases } from './releases.ts';

/** A lock that this process holds, until it is released or lost. */
export interface Lock extends AsyncDisposable {
  readonly key: string;
  /** The id under which Redis knows the holder: a UUIDv7, new for each lock. */
  readonly holder: string;
  /**
   * Rises strictly from one holder of the key to the next, across release, expiry and flush, as long
   * as the server's clock is not set back. Give it to whatever the lock protects, and have that
   * refuse tokens lower than one it has seen: only this stops a process that was stopped past its
   * lease and does not know yet.
   */
  readonly fencingToken: bigint;
  /**
   * Aborted with `LockLostError` the moment the lock is lost: at once when Redis says so, and in
   * time before the lease ends. Reading it looks at the clock. A release does not abort it.
   */
  readonly signal: AbortSignal;
  /** How long the lock can still be relied on if nobody extends it; 0 when it is not held. */
  remainingMs(): number;
  /**
   * Starts the lease anew, from now; `lease` changes its length, for automatic extensions as well.
   *
   * Sends: EVALSHA `extend` (1 key), EVAL once on NOSCRIPT.
   * Throws: `LockLostError` if the lock is lost or was released; `UnavailableError` or
   * `OutcomeUnknownError` if Redis did not answer: the lock is then held as long as it surely is.
   */
  extend(lease?: Duration): Promise<void>;
  /**
   * Gives the lock back. Called again it answers the same.
   *
   * Sends: EVALSHA `release` (1 key), EVAL once on NOSCRIPT.
   * Resolves: 'lost' if it was no longer ours, which changes nothing for whoever has it.
   * Throws: `UnavailableError` or `OutcomeUnknownError` if Redis did not answer in time; it is then
   * tried again behind the scenes until the lease has ended.
   */
  release(): Promise<'released' | 'lost'>;
  /** Releases, and never throws: whoever leaves a block by an error is to see that error. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface HeldLockParts {
  readonly key: string;
  readonly lockKey: string;
  readonly holder: string;
  readonly fencingToken: bigint;
  readonly lease: Lease;
  readonly commands: LockCommands;
  readonly releases: Releases;
  /** It is held no more. */
  readonly onEnd: (lock: HeldLock) => void;
}

export class HeldLock implements Lock {
  readonly key: string;
  readonly holder: string;
  readonly fencingToken: bigint;
  readonly #parts: HeldLockParts;
  #releasing: Promise<'released' | 'lost'> | undefined;

  constructor(parts: HeldLockParts) {
    this.key = parts.key;
    this.holder = parts.holder;
    this.fencingToken = parts.fencingToken;
    this.#parts = parts;
  }

  get lease(): Lease {
    return this.#parts.lease;
  }

  get signal(): AbortSignal {
    return this.lease.signal;
  }

  remainingMs(): number {
    return this.lease.remainingMs();
  }

  async extend(lease?: Duration): Promise<void> {
    const leaseMs = lease === undefined ? undefined : leaseDuration(lease, 'extend: lease');
    await this.lease.extend(leaseMs);
  }

  release(): Promise<'released' | 'lost'> {
    this.#releasing ??= this.#release();
    return this.#releasing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release().catch(() => {});
  }

  /** What to tell a caller whose lock turned out to be lost. */
  lossError(): unknown {
    const { signal } = this.lease;
    if (signal.aborted) return signal.reason;
    return new LockLostError(this.key, this.#parts.commands.lossFoundAtRelease);
  }

  /** The lease says that it is lost. */
  wasLost(reason: LossReason): void {
    const { key, holder } = this;
    publish('redcache:lock:lost', () => ({ key, holder, reason }));
    this.#parts.onEnd(this);
  }

  /** The locks are closed: the holder learns that it is lost, the others need not wait for its end. */
  async close(): Promise<void> {
    this.lease.lose('closed');
    await this.#parts.commands.release().catch(() => {});
  }

  async #release(): Promise<'released' | 'lost'> {
    const { key, holder } = this;
    const leftover = this.#leftover();
    try {
      const outcome = await this.lease.release();
      if (outcome === 'released') publish('redcache:lock:released', () => ({ key, holder }));
      return outcome;
    } catch (error) {
      this.#releasing = undefined;
      publish('redcache:lock:release-failed', () => ({ key, holder, error }));
      this.#parts.releases.now(leftover);
      throw error;
    } finally {
      this.#parts.onEnd(this);
    }
  }

  #leftover(): Leftover {
    const { key, lockKey, holder, lease } = this.#parts;
    return { key, lockKey, holder, forMs: lease.remainingMs() };
  }
}
