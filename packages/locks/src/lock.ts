import type { Clock, Duration } from '@redcache/core';
import { assertNever } from '@redcache/core/toolkit';
import type { Bid } from './bid/bid.ts';
import { publish } from './channels.ts';
import { LockLostError, type LossReason } from './errors.ts';
import type { Lease } from './lease/lease.ts';
import { leaseDuration } from './options.ts';
import type { Tally } from './tally.ts';

/** A lock that this process holds, until it is released or lost. */
export interface Lock extends AsyncDisposable {
  readonly key: string;
  /**
   * The id under which Redis knows the holder: a UUIDv7, new for each lease. Callers of this process
   * who get the lock one from the other hold it under the same, each with a token of its own.
   */
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
   * Gives the lock back, to the next caller of this process or to Redis. Called again it answers the
   * same.
   *
   * Sends: nothing if the next caller of this process gets it as it is, EVALSHA `extend` (1 key) if it
   * has to be made ready for that one. Else EVALSHA `release` (1 key), EVAL once on NOSCRIPT; where the
   * server has `DELIFEQ` or `DELEX` and nobody waits that alone, and the script only if it finds the
   * lock changed.
   * Resolves: 'lost' if it was no longer ours, which changes nothing for whoever has it.
   * Throws: `UnavailableError` or `OutcomeUnknownError` if Redis did not answer in time; it is then
   * tried again behind the scenes until the lease has ended.
   */
  release(): Promise<'released' | 'lost'>;
  /** Releases, and never throws: whoever leaves a block by an error is to see that error. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** By what a lock is held. */
export interface Holding {
  readonly lease: Lease;
  readonly bid: Bid;
  release(lock: HeldLock): Promise<'released' | 'lost'>;
}

export interface HeldLockParts {
  readonly holding: Holding;
  readonly key: string;
  readonly fencingToken: bigint;
  readonly clock: Clock;
  readonly tally: Tally;
}

/** `released`: by its holder, whatever becomes of the lease that it was held by. */
type State =
  | { readonly is: 'held' }
  | { readonly is: 'released'; readonly outcome: Promise<'released' | 'lost'> }
  /** A release was not answered; it may be tried again. */
  | { readonly is: 'unanswered' }
  | { readonly is: 'lost'; readonly reason: LossReason };

export class HeldLock implements Lock {
  readonly key: string;
  readonly fencingToken: bigint;
  readonly sinceMs: number;
  readonly #holding: Holding;
  readonly #clock: Clock;
  readonly #tally: Tally;
  #state: State = { is: 'held' };
  #abort: AbortController | undefined;

  constructor({ holding, key, fencingToken, clock, tally }: HeldLockParts) {
    this.key = key;
    this.fencingToken = fencingToken;
    this.sinceMs = clock.nowMs();
    this.#holding = holding;
    this.#clock = clock;
    this.#tally = tally;
  }

  get holder(): string {
    return this.#holding.bid.holder;
  }

  get signal(): AbortSignal {
    this.#look();
    this.#abort ??= new AbortController();
    if (this.#state.is === 'lost' && !this.#abort.signal.aborted)
      this.#abort.abort(this.#lossOf(this.#state.reason));
    return this.#abort.signal;
  }

  remainingMs(): number {
    return this.#state.is === 'held' ? this.#holding.lease.remainingMs() : 0;
  }

  async extend(lease?: Duration): Promise<void> {
    const leaseMs = lease === undefined ? undefined : leaseDuration(lease, 'extend: lease');
    this.#look();
    const state = this.#state;
    if (state.is !== 'held') throw this.#lossOf(state.is === 'lost' ? state.reason : 'closed');
    await this.#holding.lease.extend(leaseMs);
  }

  release(): Promise<'released' | 'lost'> {
    this.#look();
    const state = this.#state;
    switch (state.is) {
      case 'lost':
        return Promise.resolve('lost');
      case 'released':
        return state.outcome;
      case 'held':
        return this.#released(this.#holding.release(this));
      case 'unanswered':
        return this.#released(this.#holding.lease.release());
      default:
        return assertNever(state);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release().catch(() => {});
  }

  /** What to tell a caller whose lock turned out to be lost. */
  lossError(): unknown {
    const state = this.#state;
    if (state.is !== 'lost') return this.#lossOf(this.#holding.bid.lossFoundAtRelease);
    return this.#abort?.signal.reason ?? this.#lossOf(state.reason);
  }

  /** The lease that it is held by is lost. */
  wasLost(reason: LossReason): void {
    if (this.#state.is !== 'held') return;
    this.#state = { is: 'lost', reason };
    this.#tally.lost(reason);
    this.#tally.ended(this.#clock.nowMs() - this.sinceMs);
    this.#abort?.abort(this.#lossOf(reason)); // guard: I10
    const { key, holder, fencingToken } = this;
    publish('redcache:lock:lost', () => ({ key, holder, fencingToken, reason }));
  }

  /** A process that was stopped past the lease is to see that at its first look. */
  #look(): void {
    if (this.#state.is === 'held') void this.#holding.lease.isHeld;
  }

  #released(outcome: Promise<'released' | 'lost'>): Promise<'released' | 'lost'> {
    this.#state = { is: 'released', outcome };
    const heldMs = this.#clock.nowMs() - this.sinceMs;
    this.#tally.ended(heldMs);
    outcome.then(
      (is) => {
        const { key, holder, fencingToken } = this;
        if (is === 'released')
          publish('redcache:lock:released', () => ({ key, holder, fencingToken, heldMs }));
      },
      (error: unknown) => {
        this.#state = { is: 'unanswered' };
        const { key, holder } = this;
        publish('redcache:lock:release-failed', () => ({ key, holder, error }));
      },
    );
    return outcome;
  }

  #lossOf(reason: LossReason): LockLostError {
    return new LockLostError(this.key, reason);
  }
}
