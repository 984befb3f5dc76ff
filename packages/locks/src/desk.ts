import { UnavailableError } from '@redcache/core';
import type { Bid } from './bid/bid.ts';
import { Bidding, type How, type Wanted, type Won } from './bidding.ts';
import { Caller } from './caller.ts';
import { publish } from './channels.ts';
import { AcquireTimeoutError, type LossReason } from './errors.ts';
import type { Lease } from './lease/lease.ts';
import { HeldLock } from './lock.ts';
import type { AcquireSettings, LocksSettings } from './options.ts';
import { Patience } from './patience.ts';
import { Queue } from './queue.ts';
import type { Releases } from './releases.ts';
import type { Tally } from './tally.ts';
import { Tenure } from './tenure.ts';

/** What a kind of lock decides on when its callers want it. */
export interface DeskRules {
  /** A new bid for one who wants the lock so. */
  bid(wanted: AcquireSettings): Bid;
  /** Whether this lease will do for one who wants it so, beside those who use it just now. */
  mayUse(tenure: Tenure, wanted: AcquireSettings): boolean;
  /** Whether one more lease may be bid for while the process holds these. */
  mayBid(tenures: ReadonlySet<Tenure>, wanted: AcquireSettings): boolean;
}

export interface DeskParts {
  readonly key: string;
  readonly settings: LocksSettings;
  readonly rules: DeskRules;
  readonly releases: Releases;
  readonly tally: Tally;
  /** Nobody has or wants the lock any more. */
  readonly onIdle: (desk: Desk) => void;
}

/** A lease is passed on as it is while at least this part of it is left. */
const ENOUGH_LEFT = 1 / 2;

/**
 * Where the callers of one process stand who want the same lock, in the order in which they came.
 *
 * Redis knows of one holder, the process. While its lease stands it goes from caller to caller without
 * a round trip, each with a signal and a higher fencing token of its own. Only when there is none is
 * one bid for, on behalf of the first; so a thousand who wait cost as many commands as one.
 *
 * D1  A caller is granted the lock only by a lease that is held by the clock, and that was not put in
 *     doubt since Redis has confirmed it.
 * D2  A lease is used by one caller at a time, but for those who may share it ({@link DeskRules.mayUse}).
 * D3  When other processes wait, a lease that was passed on for long enough is given up to them.
 * D4  Whatever ends (a bid, a lease, a holder), {@link Desk.#serve} runs: nobody waits for nothing.
 */
export class Desk {
  readonly #parts: DeskParts;
  readonly #queue = new Queue<Caller>();
  readonly #tenures = new Set<Tenure>();
  #bidding: Bidding | undefined;
  /** Calls that do not wait. */
  readonly #single = new Set<{ readonly bidding: Bidding; fail(error: unknown): void }>();
  /** When the lock was last had, others waited: the queue is joined at once. */
  #wasContended = false;
  #blockSize = 1;
  #isClosed = false;
  /** Leases that are being given back to Redis. */
  #givingUp = 0;
  #onQuiet: (() => void) | undefined;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  get waiting(): readonly Caller[] {
    return [...this.#queue];
  }

  get tenures(): ReadonlySet<Tenure> {
    return this.#tenures;
  }

  /** Waits for the lock behind those who came before. */
  acquire(wanted: AcquireSettings): Promise<HeldLock> {
    const caller: Caller = new Caller({
      wanted,
      clock: this.#parts.settings.clock,
      timeout: () =>
        new AcquireTimeoutError(this.#parts.key, `${wanted.waitMs} ms`, this.#bidding?.lastFailure),
      onGone: () => this.#leave(caller),
    });
    this.#queue.push(caller);
    this.#serve();
    if (this.#queue.first !== caller && this.#tenures.size > 0) this.#sayWaiting(caller);
    return caller.promise;
  }

  /**
   * Asks once, past those who wait. `try` answers null when somebody has the lock.
   *
   * Throws: `UnavailableError` when Redis could not be asked in time.
   */
  attempt(wanted: AcquireSettings, how: Exclude<How, 'wait'>): Promise<HeldLock | null> {
    const { key, settings, rules } = this.#parts;
    const { clock, commandTimeoutMs } = settings;
    const sinceMs = clock.nowMs();
    if (how === 'try' && !rules.mayBid(this.#tenures, wanted)) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      const bidding = this.#bid(() => this.#wishOf(wanted), how, false, wanted);
      const patience = new Patience({
        clock,
        signal: wanted.signal,
        waitMs: commandTimeoutMs,
        timeout: () => {
          const message = `lock '${key}': Redis could not be asked within ${commandTimeoutMs} ms`;
          return new UnavailableError(message, { key, cause: bidding.lastFailure });
        },
        onOver: (error) => {
          bidding.end();
          over();
          reject(error);
        },
      });
      const single = { bidding, fail: (error: unknown) => patience.exhaust(error) };
      const over = (): void => {
        patience.end();
        this.#single.delete(single);
        this.#rest();
      };
      this.#single.add(single);
      bidding.run().then(
        (won) => {
          const tenure = won === null ? undefined : this.#begin(won, how, wanted);
          const lock = tenure === undefined ? null : this.#grant(tenure, sinceMs);
          over();
          resolve(lock);
        },
        (error: unknown) => {
          over();
          reject(error);
        },
      );
    });
  }

  /** A holder gives its lock back: to the next caller, or to Redis. */
  release(lock: HeldLock, tenure: Tenure): Promise<'released' | 'lost'> {
    tenure.users.delete(lock);
    if (!tenure.lease.isHeld) return Promise.resolve('lost');
    this.#serve();
    if (tenure.users.size > 0 || tenure.isPassing) return Promise.resolve('released');
    return this.#giveUp(tenure);
  }

  /** Another connection is used from now on. */
  moved(): void {
    for (const { lease, bid } of this.#tenures) lease.moveTo(bid.listen);
    for (const bidding of this.#biddings()) bidding.moved();
  }

  /** Everybody who waits or holds is told so; what Redis knows of is given back. */
  async close(error: unknown): Promise<void> {
    this.#isClosed = true;
    for (const caller of [...this.#queue]) caller.fail(error);
    for (const { fail } of [...this.#single]) fail(error);
    await Promise.all(
      [...this.#tenures].map(async ({ lease, bid }) => {
        lease.lose('closed');
        await bid.release().catch(() => {});
      }),
    );
    if (this.#givingUp > 0)
      await new Promise<void>((resolve) => {
        this.#onQuiet = resolve;
      });
  }

  #biddings(): readonly Bidding[] {
    const singles = [...this.#single].map(({ bidding }) => bidding);
    return this.#bidding === undefined ? singles : [this.#bidding, ...singles];
  }

  /** Gives the first callers what there is for them, or bids for it. */
  #serve(): void {
    for (let first = this.#first; first !== undefined; first = this.#first) {
      const tenure = this.#tenureFor(first.wanted);
      if (tenure === undefined) break;
      if (!this.#isReadyFor(tenure, first.wanted)) {
        void this.#makeReady(tenure, first.wanted);
        return;
      }
      this.#queue.remove(first);
      if (tenure.users.size === 0) this.#passed(tenure);
      first.grant(this.#grant(tenure, first.sinceMs));
    }
    const first = this.#first;
    if (first === undefined) {
      // Whoever was bid for has got it otherwise, or has gone.
      this.#bidding?.end();
      this.#bidding = undefined;
      this.#rest();
    } else if (this.#bidding === undefined && this.#parts.rules.mayBid(this.#tenures, first.wanted))
      this.#bidForFirst();
  }

  #passed(tenure: Tenure): void {
    if (tenure.passes > 0) this.#parts.tally.handedOff();
    tenure.passes += 1;
    tenure.madeFor = undefined;
  }

  get #first(): Caller | undefined {
    return this.#isClosed ? undefined : this.#queue.first;
  }

  /** A lease that this process holds and that may be passed on to one who wants it so. */
  #tenureFor(wanted: AcquireSettings): Tenure | undefined {
    for (const tenure of this.#tenures)
      if (this.#parts.rules.mayUse(tenure, wanted) && this.#mayPass(tenure)) return tenure;
    return undefined;
  }

  #mayPass({ lease, bid, passes, sinceMs, isPassing, madeFor }: Tenure): boolean {
    if (isPassing || !lease.isHeld) return false;
    // Redis has just said that it is ours: a push from before that is no reason to ask again.
    if (madeFor !== undefined) return true;
    if (lease.isDoubted) return false;
    if (!bid.contended) return true;
    const { handoff, clock } = this.#parts.settings;
    return passes < handoff.maxCount && clock.nowMs() - sinceMs < handoff.maxMs;
  }

  /** Whether a look at Redis is not needed first: it has the time that is wanted, and a token. */
  #isReadyFor(tenure: Tenure, { leaseMs, autoExtend }: AcquireSettings): boolean {
    const { lease, bid, users, madeFor } = tenure;
    if (bid.tokens.left === 0) return false;
    if (users.size > 0) return true;
    if (madeFor?.leaseMs === leaseMs && madeFor.autoExtend === autoExtend) return true;
    if (!autoExtend || !lease.autoExtends || lease.leaseMs !== leaseMs) return false;
    return lease.remainingMs() >= leaseMs * ENOUGH_LEFT;
  }

  /** Extends it as the next caller wants it, and serves on. */
  async #makeReady(tenure: Tenure, wanted: AcquireSettings): Promise<void> {
    const { lease, bid } = tenure;
    const { leaseMs, autoExtend } = wanted;
    tenure.isPassing = true;
    this.#blockSize = Math.min(this.#blockSize * 2, this.#parts.settings.handoff.maxCount);
    bid.reserveWithNextExtension(this.#nextBlockSize());
    const isShared = tenure.users.size > 0;
    if (!isShared) lease.rule({ leaseMs, autoExtend });
    const isReady = await lease.extend(isShared ? undefined : leaseMs).then(
      () => true,
      () => false,
    );
    tenure.isPassing = false;
    if (!isShared) tenure.madeFor = wanted;
    if (isReady) this.#serve();
    // One that is lost is not there any more, and whoever waits is bid for anew.
    if (this.#tenures.has(tenure) && tenure.isIdle) await this.#giveUp(tenure).catch(() => {});
  }

  /** Nobody of this process uses it, and nobody is to. */
  async #giveUp(tenure: Tenure): Promise<'released' | 'lost'> {
    const { lease, bid } = tenure;
    const { releases } = this.#parts;
    const forMs = lease.remainingMs();
    this.#givingUp += 1;
    this.#tenures.delete(tenure);
    this.#wasContended = bid.contended;
    // To stand behind those who wait before they get it; else after it is free.
    if (bid.contended) this.#serve();
    const releasing = lease.release();
    if (!bid.contended) this.#serve();
    try {
      return await releasing;
    } catch (error) {
      releases.now({ forMs, giveBack: () => bid.release() });
      throw error;
    } finally {
      this.#givingUp -= 1;
      if (this.#givingUp === 0) this.#onQuiet?.();
      this.#rest();
    }
  }

  #bidForFirst(): void {
    let wanted = this.#queue.first?.wanted as AcquireSettings;
    const wish = (): Wanted => {
      wanted = this.#queue.first?.wanted ?? wanted;
      return this.#wishOf(wanted);
    };
    const bidding = this.#bid(wish, 'wait', this.#wasContended, wanted);
    this.#bidding = bidding;
    const ended = (): boolean => {
      if (this.#bidding !== bidding) return true;
      this.#bidding = undefined;
      return false;
    };
    bidding.run().then(
      (won) => {
        if (won === null) return;
        const tenure = this.#begin(won, 'wait', wanted);
        if (!ended()) this.#serve();
        // Whoever it was for has gone meanwhile.
        if (tenure.isIdle && this.#tenures.has(tenure)) void this.#giveUp(tenure).catch(() => {});
      },
      (error: unknown) => {
        if (ended()) return;
        this.#queue.first?.fail(error);
        this.#serve();
      },
    );
  }

  #bid(
    wanted: () => Wanted,
    how: How,
    joinAtOnce: boolean,
    settingsOfFirst: AcquireSettings,
  ): Bidding {
    const { key, settings, releases, rules } = this.#parts;
    return new Bidding({
      ...{ how, key, settings, releases, wanted, joinAtOnce },
      bid: rules.bid(settingsOfFirst),
      onHeld: () => {
        for (const caller of this.#queue) this.#sayWaiting(caller);
      },
      onPolledOut: (attempts) => {
        const cause = this.#bidding?.lastFailure;
        this.#queue.first?.fail(new AcquireTimeoutError(key, `${attempts} polls`, cause));
      },
      onLost: (lease, reason) => this.#lost(lease, reason),
    });
  }

  /** What Redis is asked for: the lease that the caller wants, and tokens for those behind. */
  #wishOf({ leaseMs, autoExtend }: AcquireSettings): Wanted {
    return { leaseMs, autoExtend, tokens: this.#nextBlockSize() };
  }

  /** Twice as many as will surely be used; each takes longer to use than the microsecond it is. */
  #nextBlockSize(): number {
    const { maxCount } = this.#parts.settings.handoff;
    return Math.min(Math.max(this.#blockSize, 2 * this.#queue.size - 1), maxCount);
  }

  #begin({ bid, lease }: NonNullable<Won>, how: How, madeFor: AcquireSettings): Tenure {
    const others = [...this.#tenures];
    const tenure = new Tenure({ bid, lease, madeFor, sinceMs: this.#parts.settings.clock.nowMs() });
    this.#tenures.add(tenure);
    // Whoever was robbed is told at once, not when the push comes.
    if (how === 'force') for (const other of others) other.lease.lose('taken');
    return tenure;
  }

  #grant(tenure: Tenure, sinceMs: number): HeldLock {
    const { key, settings, tally } = this.#parts;
    const { clock } = settings;
    const fencingToken = tenure.bid.tokens.take() as bigint;
    const lock = new HeldLock({ desk: this, tenure, key, fencingToken, clock, tally });
    tenure.users.add(lock);
    const { holder } = lock;
    const waitedMs = lock.sinceMs - sinceMs;
    tally.acquired(waitedMs);
    publish('redcache:lock:acquired', () => ({ key, holder, fencingToken, waitedMs }));
    return lock;
  }

  #lost(lease: Lease, reason: LossReason): void {
    for (const tenure of this.#tenures) {
      if (tenure.lease !== lease) continue;
      this.#tenures.delete(tenure);
      for (const lock of tenure.users) lock.wasLost(reason);
      this.#serve();
    }
  }

  #leave(caller: Caller): void {
    if (this.#queue.remove(caller)) this.#serve();
  }

  #sayWaiting(caller: Caller): void {
    if (caller.saidWaiting) return;
    caller.saidWaiting = true;
    const { key, tally } = this.#parts;
    tally.waited(key);
    publish('redcache:lock:waiting', () => ({ key }));
  }

  #rest(): void {
    if (this.#queue.size > 0 || this.#tenures.size > 0 || this.#single.size > 0) return;
    if (this.#bidding === undefined && this.#givingUp === 0) this.#parts.onIdle(this);
  }
}
