import { ConfigError, isRedcacheError, UnavailableError } from '@redcache/core';
import type { Bid, Stir, Wish } from './bid/bid.ts';
import { publish, type WokenBy } from './channels.ts';
import type { LossReason } from './errors.ts';
import { isPassing, isUnknown } from './failures.ts';
import { type Echoes, NO_ECHOES, pushSeen, unexplained, writeConfirmed } from './lease/echoes.ts';
import { Lease } from './lease/lease.ts';
import type { LocksSettings, RetrySettings } from './options.ts';
import type { Leftover, Releases } from './releases.ts';
import type { Answer } from './scripts/answer.ts';
import { OFFER_MS, PROMISE_GRACE_MS } from './scripts/queue.ts';
import { Wake } from './wake.ts';

/** What the one who is bid for wants, as things stand: others may have come first meanwhile. */
export interface Wanted extends Wish {
  readonly autoExtend: boolean;
}

/**
 * `wait`: until it is had. `try`: unless somebody has it. `force`: from whoever has it.
 */
export type How = 'wait' | 'try' | 'force';

/** What a bidding is for, and is told to. Nothing is told once it was ended. */
export interface Bidder {
  /** Asked before each attempt. */
  wanted(): Wanted;
  /** Once: somebody else has it, and it is waited for. */
  onHeld(): void;
  /** Polled as often as the settings allow. */
  onPolledOut(attempts: number): void;
  /** The end of a bidding: the lease is had, */
  onWon(bid: Bid, lease: Lease): void;
  /** or somebody has it, and it was not to wait, */
  onRefused(): void;
  /** or something does not pass by itself. */
  onFailed(error: unknown): void;
  /** A lease that was won is lost. */
  readonly onLost: (reason: LossReason, lease: Lease) => void;
}

export interface BiddingParts {
  readonly how: How;
  readonly key: string;
  readonly bid: Bid;
  readonly settings: LocksSettings;
  readonly releases: Releases;
  readonly bidder: Bidder;
  /** Others were seen to want it lately, so the queue is joined at once. */
  readonly joinAtOnce: boolean;
}

type Woken = Stir | 'timer' | 'poll' | 'moved' | 'pause';

/** The lease as last seen ends on the server; a little later it surely has. */
const SLACK_MS = 10;
/** Those further back in the queue look later, so that a lease that ends wakes them one by one. */
const STAGGER_MS = 5;
const LONGEST_STAGGER_MS = 1_000;
/** When to look again at a lock that somebody gave no end: its holder, if it lives, repairs it. */
const NO_END_MS = 1_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;
/** Polls become rarer up to so many times the first pause. */
const LONGEST_POLL = 20;

/**
 * Gets the lease of a lock, for whoever in this process wants it first.
 *
 * Those who wait arm the wake-up first, then try, then sleep: a release between the try and the sleep
 * is kept by {@link Wake}. The first of the queue is woken by whatever happens to the lock, the others
 * when it is their turn; all of them at the end of the lease as last seen, at a flush, at a
 * disconnect.
 */
export class Bidding {
  readonly #parts: BiddingParts;
  readonly #wake: Wake<Woken>;
  #stopListening: (() => void) | undefined;
  #echoes: Echoes = NO_ECHOES;
  /** Where it stands in the queue of waiting processes. */
  #place: number | undefined;
  /** For how long others count on it there, from when it last asked. */
  #staysMs = PROMISE_GRACE_MS;
  #joins: boolean;
  #saidHeld = false;
  #lastFailure: unknown;
  /** Of the last attempt. */
  #wish: Wish = { leaseMs: 0, tokens: 0 };
  #polls = 0;
  #failures = 0;
  /** The attempt that is under way. */
  #sent: Promise<Answer> | undefined;
  /** An attempt of ours may have left something in Redis. */
  #mayStand = false;
  #hasMoved = false;
  /** While the attempt was under way it has become the first, and its answer may be older than that. */
  #isPromoted = false;
  /** It asks now and then, because it would not be told. */
  #isPolling = false;
  #ended = false;

  constructor(parts: BiddingParts) {
    this.#parts = parts;
    this.#joins = parts.joinAtOnce && parts.bid.join !== undefined && parts.bid.hears;
    this.#wake = new Wake(parts.settings.clock, weigh);
  }

  /** Why it has no lease yet, if that was not somebody else. */
  get lastFailure(): unknown {
    return this.#lastFailure;
  }

  /** Sends the first attempt before it returns. Tells its bidder how it ends; never rejects. */
  async run(): Promise<void> {
    const { bid, how, bidder } = this.#parts;
    while (!this.#ended) {
      if (!bid.isUp) {
        this.#listen();
        if (!bid.isUp) await this.#sleep();
        continue;
      }
      // Armed before the attempt that it waits after. A first one that is refused is followed by
      // another, in the queue, so it need not be.
      if (this.#joins || bid.join === undefined) this.#listen(); // guard: I9
      const lease = this.#begin();
      let answer: Answer | undefined;
      let error: unknown;
      try {
        answer = await this.#send();
      } catch (thrown) {
        error = thrown;
      }
      this.#sent = undefined;
      if (this.#ended) {
        lease.abandon();
        return;
      }
      if (answer?.is === 'acquired') {
        lease.held(answer.echoes);
        if (this.#hasMoved) lease.moveTo((tell) => bid.listen(tell));
        if (lease.isHeld) {
          this.#stop();
          bidder.onWon(bid, lease);
          return;
        }
        this.#mayStand = true; // guard: I11
        error = this.#tooLate();
      } else {
        lease.abandon();
        if (answer?.is === 'held') {
          this.#noteHeld(answer);
          if (how === 'try') {
            this.end();
            bidder.onRefused();
            return;
          }
          try {
            await this.#waitForTurn(answer.remainingMs);
            continue;
          } catch (thrown) {
            error = thrown;
          }
        } else if (answer !== undefined) error = this.#notALock();
        else if (isUnknown(error)) this.#mayStand = true; // guard: I11
      }
      if (this.#ended) return;
      if (!isWorthAnother(error, how)) {
        this.end();
        bidder.onFailed(error);
        return;
      }
      this.#lastFailure = error;
      this.#listen();
      if (bid.isUp) await this.#sleep({ afterMs: this.#nextPauseMs(), cause: 'pause' });
    }
  }

  /** Nobody wants it any more: what an attempt has left, or may still bring, is given back. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stop();
    const { releases } = this.#parts;
    // What an attempt before it has left stays, whatever becomes of this one.
    const stands = this.#mayStand;
    const joins = this.#joins;
    if (this.#sent !== undefined)
      releases.after(
        this.#sent.then(
          ({ is }) => is === 'acquired' || joins || stands,
          (error) => isUnknown(error) || stands,
        ),
        this.#leftover(),
      );
    else if (stands) releases.now(this.#leftover());
  }

  /** Another connection is used from now on. */
  moved(): void {
    this.#stopListening?.();
    this.#stopListening = undefined;
    this.#hasMoved = true;
    this.#wake.wake('moved');
  }

  #begin(): Lease {
    const { bid, settings, key, bidder } = this.#parts;
    const { clock, driftRatio } = settings;
    const { leaseMs, autoExtend, tokens } = bidder.wanted();
    this.#wish = { leaseMs, tokens };
    this.#wake.forget();
    this.#echoes = NO_ECHOES;
    this.#hasMoved = false;
    this.#isPromoted = false;
    const lease = new Lease({
      label: key,
      leaseMs,
      driftRatio,
      autoExtend,
      clock,
      listen: (tell) => bid.listen(tell),
      commands: bid,
      onLost: bidder.onLost,
    });
    lease.acquiring();
    return lease;
  }

  #send(): Promise<Answer> {
    const { bid, how } = this.#parts;
    this.#sent =
      this.#joins && bid.join !== undefined
        ? bid.join(this.#wish)
        : bid.take(this.#wish, how === 'force' ? 'force' : 'if-free');
    return this.#sent;
  }

  #noteHeld(answer: Answer & { readonly is: 'held' }): void {
    this.#failures = 0;
    // One that waits in the queue leaves its place there.
    this.#mayStand ||= answer.place !== undefined; // guard: I11
    this.#place = this.#isPromoted ? 0 : answer.place;
    if (answer.place !== undefined)
      this.#staysMs = Math.max(0, answer.remainingMs) + PROMISE_GRACE_MS;
    this.#echoes = writeConfirmed(this.#echoes, answer.echoes);
  }

  #tooLate(): UnavailableError {
    const { key } = this.#parts;
    return new UnavailableError(`lock '${key}': Redis answered after the lease was over`, { key });
  }

  #notALock(): ConfigError {
    const { key } = this.#parts;
    return new ConfigError(`lock '${key}': its key in Redis holds something that is no lock`, {
      key,
    });
  }

  /** Returns when there is reason to try again. */
  async #waitForTurn(remainingMs: number): Promise<void> {
    const { bid, key, bidder } = this.#parts;
    if (!this.#saidHeld) {
      this.#saidHeld = true;
      bidder.onHeld();
      // Whoever is told of it may have made its caller go.
      if (this.#ended) return;
    }
    this.#listen();
    if (!bid.hears) await bid.findEars();
    if (this.#ended) return;
    const endMs = remainingMs < 0 ? NO_END_MS : remainingMs + SLACK_MS;
    let woken: Woken;
    if (!bid.hears) {
      await this.#leaveQueue();
      if (this.#ended) return;
      const pauseMs = Math.min(this.#nextPollMs(), endMs);
      // Whoever it was for may have polled often enough.
      if (this.#ended) return;
      woken = await this.#poll(pauseMs);
      // As for one that is refused first: it asks for its place, and was not woken.
      if (woken === 'ears') return;
    } else if (bid.join !== undefined && !this.#joins) {
      // The queue tells when it is its turn; a look at the lock alone would not.
      this.#joins = true;
      return;
    } else {
      woken = await this.#sleepInQueue(endMs);
    }
    // Redis is gone: there is nothing to try until it is back.
    for (let last = woken; !bid.isUp && last !== 'moved'; ) last = await this.#sleep();
    const [{ holder }, cause] = [bid, wokenBy(woken)];
    publish('redcache:lock:woken', () => ({ key, holder, cause }));
  }

  /**
   * Whoever asks now and then may come too late for what it is offered in the queue. And had it taken
   * the lock past the queue, its own release would offer the lock to itself.
   */
  async #leaveQueue(): Promise<void> {
    if (this.#place === undefined) {
      this.#joins = false;
      return;
    }
    try {
      await this.#parts.bid.withdraw();
      this.#joins = false;
      this.#place = undefined;
    } catch {
      // It may still stand there: the next attempt is made from there, and leaves it if it wins.
      this.#joins = true;
    }
  }

  async #poll(pauseMs: number): Promise<Woken> {
    const { bid } = this.#parts;
    this.#isPolling = true;
    // It may have begun to hear while it left the queue.
    const woken = bid.hears ? 'ears' : await this.#sleep({ afterMs: pauseMs, cause: 'poll' });
    this.#isPolling = false;
    if (woken === 'ears') this.#joins = bid.join !== undefined;
    return woken;
  }

  async #sleepInQueue(endMs: number): Promise<Woken> {
    // What was pushed before the answer was here may have been the echo of our own write.
    if (this.#isNoReason) this.#wake.forget('push');
    const staggerMs = Math.min((this.#place ?? 0) * STAGGER_MS, LONGEST_STAGGER_MS);
    this.#wake.forget('next');
    const { clock } = this.#parts.settings;
    const untilAtMs = clock.nowMs() + endMs + staggerMs;
    const woken = this.#isPromoted
      ? 'next'
      : await this.#sleep({ afterMs: endMs + staggerMs, cause: 'timer' });
    if (woken !== 'next') return woken;
    // The one before has a while to take what it was offered; then it is dead. Where several may hold
    // the lock, a lease that ends sooner is room for one more.
    const leftMs = Math.max(0, untilAtMs - clock.nowMs());
    return this.#sleep({ afterMs: Math.min(leftMs, OFFER_MS + SLACK_MS), cause: 'timer' });
  }

  #sleep(timeout?: { readonly afterMs: number; readonly cause: Woken }): Promise<Woken> {
    return this.#wake.sleep(timeout);
  }

  #listen(): void {
    if (this.#stopListening !== undefined) return;
    let isNew = true;
    this.#stopListening = this.#parts.bid.onStir((stir) => {
      // How the connection is just now is no news.
      if (!isNew) this.#stir(stir);
    });
    isNew = false;
  }

  #stir(stir: Stir): void {
    // Whoever heard before has missed nothing.
    if (stir === 'ears' && !this.#isPolling) return;
    if (stir === 'push') {
      this.#echoes = pushSeen(this.#echoes);
      // While an attempt is under way nobody knows yet; what is kept is judged when it is answered.
      if (this.#sent === undefined && this.#isNoReason) return;
    }
    if (stir === 'next') {
      this.#place = 0;
      if (this.#sent !== undefined) this.#isPromoted = true; // guard: I9
    }
    this.#wake.wake(stir);
  }

  /** What was pushed is our own echo, or others stand before it, and it is woken when it is its turn. */
  get #isNoReason(): boolean {
    const isBehind = this.#joins && this.#place !== undefined && this.#place > 0;
    return isBehind || !unexplained(this.#echoes);
  }

  #stop(): void {
    this.#wake.end();
    this.#stopListening?.(); // guard: I14
    this.#stopListening = undefined;
  }

  /** Exponential, and less by chance, so that those who were refused together don't ask together. */
  #nextPollMs(): number {
    const { delayMs, jitter, attempts }: RetrySettings = this.#parts.settings.retry;
    if (this.#polls >= attempts) {
      this.#polls = 0;
      this.#parts.bidder.onPolledOut(attempts);
    }
    const pauseMs = delayMs * Math.min(2 ** this.#polls, LONGEST_POLL);
    this.#polls += 1;
    return pauseMs * (1 - jitter * Math.random());
  }

  #nextPauseMs(): number {
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures += 1;
    return pauseMs;
  }

  /** Redis may have run the attempt just now, however long ago it was sent. */
  #leftover(): Leftover {
    const { bid } = this.#parts;
    const { leaseMs } = this.#wish;
    // Its place in the queue may stand for longer than the lease that it asked for.
    const mayQueue = this.#joins || this.#place !== undefined;
    const forMs = mayQueue ? Math.max(leaseMs, this.#staysMs) : leaseMs;
    return { forMs, giveBack: () => bid.withdraw() };
  }
}

/** Anything else that is heard says more than that the one before it in the queue has its turn. */
function weigh(woken: Woken): number {
  if (woken === 'next') return 0;
  return woken === 'push' ? 1 : 2;
}

/** It will pass by itself: try again. */
function isWorthAnother(error: unknown, how: How): boolean {
  // Whoever does not wait is told every vote at once.
  if (isRedcacheError(error) && error.code === 'REDCACHE_QUORUM') return how === 'wait';
  return isPassing(error);
}

function wokenBy(woken: Woken): WokenBy {
  switch (woken) {
    case 'turn':
    case 'next':
      return 'push';
    case 'up':
      return 'disconnect';
    case 'moved':
    case 'pause':
    case 'ears':
      return 'poll';
    default:
      return woken;
  }
}
