import { ConfigError, UnavailableError } from '@redcache/core';
import { Queue } from '@redcache/core/toolkit';
import type { Bid } from './bid/bid.ts';
import { type Bidder, Bidding, type How, type Wanted } from './bidding.ts';
import { Caller } from './caller.ts';
import { publish } from './channels.ts';
import { AcquireTimeoutError, type LossReason } from './errors.ts';
import type { Lease } from './lease/lease.ts';
import { HeldLock } from './lock.ts';
import type { Access, AcquireSettings, LocksSettings } from './options.ts';
import { Patience } from './patience.ts';
import type { Releases } from './releases.ts';
import type { Tally } from './tally.ts';
import { Tenure, type TenureHome } from './tenure.ts';
import type { WaitingRoom } from './waiting-room.ts';

/** What a kind of lock decides on when its callers want it. */
export interface DeskRules {
  /** A new bid for one who wants the lock so. */
  bid(wanted: AcquireSettings): Bid;
  /** Whether this lease will do for one who wants it so, beside those who use it just now. */
  mayUse(tenure: Tenure, wanted: AcquireSettings): boolean;
  /** Whether one more lease may be bid for while the process holds these. */
  mayBid(tenures: readonly Tenure[], wanted: AcquireSettings): boolean;
  /** As many fencing tokens are reserved at once at most. */
  readonly mostTokens: number;
  /** There is one lease at a time: whoever has a new one has lost those before, heard of or not. */
  readonly isExclusive: boolean;
}

export interface DeskParts {
  readonly key: string;
  readonly settings: LocksSettings;
  readonly rules: DeskRules;
  readonly releases: Releases;
  readonly tally: Tally;
  /** Where all who wait count, at whatever desk. */
  readonly room: WaitingRoom;
  /** Others were seen to wait for the lock lately. */
  readonly wasContended: boolean;
  /** Nobody has or wants the lock any more. */
  readonly onIdle: (desk: Desk) => void;
}

/** A call that does not wait. */
interface Attempt {
  readonly bidding: Bidding;
  fail(error: unknown): void;
}

const RELEASED: Promise<'released'> = Promise.resolve('released');
const LOST: Promise<'lost'> = Promise.resolve('lost');

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
export class Desk implements Bidder, TenureHome {
  readonly #parts: DeskParts;
  readonly #queue = new Queue<Caller>();
  #tenures: readonly Tenure[] = [];
  #bidding: Bidding | undefined;
  /** What it is for. */
  #biddingFor: Access | undefined;
  /** Whose lease its last attempt has asked for: that one may have gone when the lease is had. */
  #askedFor: AcquireSettings;
  /** Calls that do not wait. */
  #attempts: readonly Attempt[] = [];
  /** When the lock was last had, others waited: the queue is joined at once. */
  #wasContended: boolean;
  #blockSize = 1;
  #isClosed = false;
  /** Leases that are being given back to Redis. */
  #givingUp = 0;
  #onQuiet: (() => void) | undefined;

  constructor(parts: DeskParts) {
    this.#parts = parts;
    this.#wasContended = parts.wasContended;
    this.#askedFor = parts.settings.acquire;
  }

  get wasContended(): boolean {
    return this.#wasContended;
  }

  get waiting(): readonly Caller[] {
    return [...this.#queue];
  }

  get tenures(): readonly Tenure[] {
    return this.#tenures;
  }

  /**
   * Waits for the lock behind those who came before.
   *
   * Throws: `TooManyWaitingError` at once, if as many wait as may.
   */
  acquire(wanted: AcquireSettings): Promise<HeldLock> {
    const { settings, room, key } = this.#parts;
    try {
      room.enter(key);
    } catch (error) {
      this.#rest();
      return Promise.reject(error);
    }
    const caller = new Caller(wanted, settings.clock, this);
    this.#queue.push(caller);
    this.#serve();
    const [tenure] = this.#tenures;
    if (tenure !== undefined && !caller.isServed) {
      this.#sayWaiting(caller);
      // Those who wait behind a holder of this process depend on its lease as it does.
      if (!tenure.bid.hears)
        tenure.bid.findEars().catch((error: unknown) => {
          // What will not pass is told to all who wait, whoever has the lock; anything else is tried again.
          if (error instanceof ConfigError) caller.fail(error);
        });
    }
    return caller.promise;
  }

  /**
   * Asks once, past those who wait. `try` answers null when somebody has the lock.
   *
   * Throws: `UnavailableError` when Redis could not be asked in time.
   */
  attempt(wanted: AcquireSettings, how: Exclude<How, 'wait'>): Promise<HeldLock | null> {
    const { settings, rules } = this.#parts;
    if (how === 'try' && !rules.mayBid(this.#tenures, wanted)) return Promise.resolve(null);
    const sinceMs = settings.clock.nowMs();
    return new Promise((resolve, reject) => {
      const over = (): void => {
        patience.end();
        this.#attempts = this.#attempts.filter((each) => each !== attempt);
      };
      const bidding = this.#bid(wanted, how, false, {
        wanted: () => this.#wishOf(wanted),
        onHeld: () => {},
        onPolledOut: () => {},
        onWon: (bid, lease) => {
          over();
          const tenure = this.#begin(bid, lease, wanted);
          this.#passed(tenure);
          resolve(this.#grant(tenure, sinceMs));
          // Not before the lease is in use: those who wait are served when one is lost, and would be
          // given this one.
          this.#supersede(tenure);
        },
        onRefused: () => {
          over();
          resolve(null);
          this.#rest();
        },
        onFailed: (error) => {
          over();
          reject(error);
          this.#rest();
        },
        onLost: this.onLost,
      });
      const patience = new Patience({
        clock: settings.clock,
        signal: wanted.signal,
        waitMs: settings.commandTimeoutMs,
        timeout: () => this.#unavailable(bidding.lastFailure),
        onOver: (error) => {
          bidding.end();
          over();
          reject(error);
          this.#rest();
        },
      });
      const attempt: Attempt = { bidding, fail: (error) => patience.exhaust(error) };
      this.#attempts = [...this.#attempts, attempt];
      void bidding.run();
    });
  }

  /** A holder gives its lock back: to the next caller, or to Redis. */
  release(lock: HeldLock, tenure: Tenure): Promise<'released' | 'lost'> {
    tenure.users.delete(lock);
    if (!tenure.lease.isHeld) return LOST;
    this.#serve();
    if (tenure.passing !== undefined) return tenure.passing;
    if (tenure.users.size > 0) return RELEASED;
    return this.#giveUp(tenure);
  }

  /** Another connection is used from now on. */
  moved(): void {
    for (const { lease, bid } of this.#tenures) lease.moveTo((tell) => bid.listen(tell));
    for (const bidding of this.#biddings()) bidding.moved();
  }

  /** Everybody who waits or holds is told so; what Redis knows of is given back. */
  async close(error: unknown): Promise<void> {
    this.#isClosed = true;
    for (const caller of [...this.#queue]) caller.fail(error); // guard: I14
    for (const { fail } of this.#attempts) fail(error); // guard: I14
    await Promise.all(
      this.#tenures.map(async ({ lease, bid }) => {
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
    const attempts = this.#attempts.map(({ bidding }) => bidding);
    return this.#bidding === undefined ? attempts : [this.#bidding, ...attempts];
  }

  /** Gives the first callers what there is for them, or bids for it. */
  #serve(): void {
    for (let first = this.#first; first !== undefined; first = this.#first) {
      const tenure = this.#tenureFor(first.wanted);
      if (tenure === undefined) break;
      if (!this.#isReadyFor(tenure, first.wanted)) {
        tenure.passing = this.#makeReady(tenure, first.wanted);
        // For whoever releases meanwhile; perhaps nobody does.
        tenure.passing.catch(() => {});
        return;
      }
      this.#queue.remove(first);
      this.#parts.room.leave();
      if (tenure.users.size === 0) this.#passed(tenure);
      first.grant(this.#grant(tenure, first.sinceMs));
    }
    const first = this.#first;
    if (first === undefined) {
      // Whoever was bid for has got it otherwise, or has gone.
      this.#bidding?.end();
      this.#bidding = undefined;
      this.#rest();
      return;
    }
    if (this.#bidding !== undefined && this.#biddingFor !== first.wanted.access) {
      // The one it was made for has gone, and this one wants the lock otherwise.
      this.#bidding.end();
      this.#bidding = undefined;
    }
    if (this.#bidding === undefined && this.#parts.rules.mayBid(this.#tenures, first.wanted)) {
      this.#bidding = this.#bid(first.wanted, 'wait', this.#wasContended, this);
      this.#biddingFor = first.wanted.access;
      void this.#bidding.run();
    }
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

  #mayPass(tenure: Tenure): boolean {
    const { lease, bid, passes, sinceMs, passing, isSpent, madeFor } = tenure;
    if (passing !== undefined || isSpent || !lease.isHeld) return false;
    // Redis has just said that it is ours: a push from before that is no reason to ask again.
    if (madeFor === undefined && lease.isDoubted) return false; // guard: I10
    if (passes === 0 || !bid.contended) return true;
    const { handoff, clock } = this.#parts.settings;
    return passes < handoff.maxCount && clock.nowMs() - sinceMs < handoff.maxMs;
  }

  /** Whether a look at Redis is not needed first: it has the time that is wanted, and a token. */
  #isReadyFor(tenure: Tenure, { leaseMs, autoExtend }: AcquireSettings): boolean {
    const { lease, bid, users, madeFor } = tenure;
    if (bid.tokens.left === 0) return false;
    if (users.size > 0) return true;
    // The holder before has asked for another time, and Redis has not answered: that is to count no more.
    if (lease.isAsked) return false; // guard: I10
    // Nobody would have told of a loss.
    if (!bid.hears && madeFor === undefined) return false; // guard: I10
    if (madeFor?.leaseMs === leaseMs && madeFor.autoExtend === autoExtend) return true;
    if (!autoExtend || !lease.autoExtends || lease.leaseMs !== leaseMs) return false;
    return lease.remainingMs() >= leaseMs * ENOUGH_LEFT;
  }

  /**
   * Extends it as the next caller wants it, and serves on. Answers what the one before it is told, who
   * gave it back: it may turn out to have been lost by then, or to have to be given back to Redis.
   */
  async #makeReady(tenure: Tenure, wanted: AcquireSettings): Promise<'released' | 'lost'> {
    const { lease, bid } = tenure;
    const { leaseMs, autoExtend } = wanted;
    // Those that are left would be lost: again and again, and tokens were soon ahead of the clock.
    if (bid.tokens.left === 0) {
      if (bid.tokens.areUsedUp)
        this.#blockSize = Math.min(this.#blockSize * 2, this.#parts.settings.handoff.maxCount);
      bid.reserveWithNextExtension(this.#nextBlockSize());
    }
    const isShared = tenure.users.size > 0;
    const isReady = await lease.extend(isShared ? undefined : leaseMs).then(
      () => true,
      () => false,
    );
    tenure.passing = undefined;
    if (!isShared) {
      tenure.madeFor = wanted;
      if (isReady) lease.rule({ leaseMs, autoExtend });
    }
    // Whoever shares it keeps it; the others are bid for.
    tenure.isSpent = isShared && !isReady;
    if (isReady || tenure.isSpent) this.#serve();
    // One that is lost is not there any more, and whoever waits is bid for anew.
    if (this.#tenures.includes(tenure) && tenure.isIdle) return await this.#giveUp(tenure);
    return lease.isLost ? 'lost' : 'released';
  }

  /** Nobody of this process uses it, and nobody is to. */
  #giveUp(tenure: Tenure): Promise<'released' | 'lost'> {
    const { lease, bid } = tenure;
    const forMs = lease.remainingMs();
    this.#givingUp += 1;
    this.#remove(tenure);
    this.#wasContended = bid.contended;
    // Behind those who wait: in the queue, or by an attempt that is refused. Else when it is free.
    if (bid.contended) this.#serve();
    const releasing = lease.release();
    if (!bid.contended) this.#serve();
    return releasing.then(
      (outcome) => {
        this.#gaveUp();
        return outcome;
      },
      (error: unknown) => {
        this.#parts.releases.now({ forMs, giveBack: () => bid.release() }); // guard: I9
        this.#gaveUp();
        throw error;
      },
    );
  }

  #gaveUp(): void {
    this.#givingUp -= 1;
    if (this.#givingUp === 0) this.#onQuiet?.();
    this.#rest();
  }

  #remove(tenure: Tenure): void {
    this.#tenures = this.#tenures.filter((each) => each !== tenure);
  }

  #bid(wanted: AcquireSettings, how: How, joinAtOnce: boolean, bidder: Bidder): Bidding {
    const { key, settings, releases, rules } = this.#parts;
    const bid = rules.bid(wanted);
    return new Bidding({ how, key, bid, settings, releases, bidder, joinAtOnce });
  }

  /** For the bidding on behalf of the first who waits. */
  wanted(): Wanted {
    this.#askedFor = this.#queue.first?.wanted ?? this.#parts.settings.acquire;
    return this.#wishOf(this.#askedFor);
  }

  onHeld(): void {
    for (const caller of this.#queue) this.#sayWaiting(caller);
  }

  onPolledOut(attempts: number): void {
    const error = this.timeout(`${attempts} polls`);
    this.#queue.first?.fail(error);
  }

  onWon(bid: Bid, lease: Lease): void {
    this.#bidding = undefined;
    this.#supersede(this.#begin(bid, lease, this.#askedFor));
    this.#serve();
  }

  /** It waits, so it is never refused. */
  onRefused(): void {}

  onFailed(error: unknown): void {
    this.#bidding = undefined;
    this.#queue.first?.fail(error);
    this.#serve();
  }

  #wishOf({ leaseMs, autoExtend }: AcquireSettings): Wanted {
    return { leaseMs, autoExtend, tokens: this.#nextBlockSize() };
  }

  /** Twice as many as will surely be used; each takes longer to use than the microsecond it is. */
  #nextBlockSize(): number {
    const { settings, rules } = this.#parts;
    const most = Math.min(settings.handoff.maxCount, rules.mostTokens);
    return Math.min(Math.max(this.#blockSize, 2 * this.#queue.size - 1), most);
  }

  #begin(bid: Bid, lease: Lease, madeFor: AcquireSettings): Tenure {
    const sinceMs = this.#parts.settings.clock.nowMs();
    const tenure = new Tenure({ home: this, bid, lease, madeFor, sinceMs });
    this.#tenures = [...this.#tenures, tenure];
    return tenure;
  }

  /** Whoever was robbed, or has lost the lock unheard, is told at once, not when Redis says so. */
  #supersede(by: Tenure): void {
    if (!this.#parts.rules.isExclusive) return;
    for (const other of this.#tenures) if (other !== by) other.lease.lose('taken'); // guard: I10
  }

  #grant(tenure: Tenure, sinceMs: number): HeldLock {
    const { key, settings, tally } = this.#parts;
    const { clock } = settings;
    const fencingToken = tenure.bid.tokens.take() as bigint;
    const lock = new HeldLock({ holding: tenure, key, fencingToken, clock, tally });
    tenure.users.add(lock);
    const { holder } = lock;
    const waitedMs = lock.sinceMs - sinceMs;
    tally.acquired(waitedMs);
    publish('redcache:lock:acquired', () => ({ key, holder, fencingToken, waitedMs }));
    return lock;
  }

  readonly onLost = (reason: LossReason, lease: Lease): void => {
    const tenure = this.#tenures.find((each) => each.lease === lease);
    if (tenure === undefined) return;
    this.#remove(tenure);
    for (const lock of tenure.users) lock.wasLost(reason);
    this.#serve(); // guard: I9
  };

  /** What a caller is told whose time is over. */
  timeout(limit: string): AcquireTimeoutError {
    return new AcquireTimeoutError(this.#parts.key, limit, this.#bidding?.lastFailure);
  }

  /** A caller has gone. */
  onGone(caller: Caller): void {
    if (!this.#queue.remove(caller)) return;
    this.#parts.room.leave();
    this.#serve();
  }

  #unavailable(cause: unknown): UnavailableError {
    const { key, settings } = this.#parts;
    const message = `lock '${key}': Redis could not be asked within ${settings.commandTimeoutMs} ms`;
    return new UnavailableError(message, { key, cause });
  }

  #sayWaiting(caller: Caller): void {
    if (caller.saidWaiting) return;
    caller.saidWaiting = true;
    const { key, tally } = this.#parts;
    tally.waited(key);
    publish('redcache:lock:waiting', () => ({ key }));
  }

  #rest(): void {
    if (this.#queue.size > 0 || this.#tenures.length > 0 || this.#attempts.length > 0) return;
    if (this.#bidding === undefined && this.#givingUp === 0) this.#parts.onIdle(this);
  }
}
