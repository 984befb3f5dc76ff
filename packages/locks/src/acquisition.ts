import { ConfigError, isRedcacheError, UnavailableError } from '@redcache/core';
import { uuidv7 } from 'uuidv7';
import { publish, type WokenBy } from './channels.ts';
import type { Connections } from './connections.ts';
import { AcquireTimeoutError } from './errors.ts';
import type { LockKeys } from './keys.ts';
import { Lease } from './lease/lease.ts';
import type { Link } from './link.ts';
import { HeldLock } from './lock.ts';
import { LockCommands } from './lock-commands.ts';
import type { AcquireSettings, LocksSettings } from './options.ts';
import { Patience } from './patience.ts';
import type { Leftover, Releases } from './releases.ts';
import { type AcquireAnswer, acquire } from './scripts/acquire.ts';
import type { Waiters } from './waiters.ts';
import { Wake } from './wake.ts';

/** What one caller's attempts share with those of the others. */
export interface Surroundings {
  readonly settings: LocksSettings;
  readonly connections: Connections;
  readonly waiters: Waiters;
  readonly releases: Releases;
  /** Locks that are held just now. */
  readonly held: Set<HeldLock>;
}

type Woken = WokenBy | 'turn' | 'up' | 'moved' | 'pause';

type Outcome =
  | { readonly is: 'acquired'; readonly lock: HeldLock }
  | { readonly is: 'held'; readonly remainingMs: number }
  | { readonly is: 'failed'; readonly error: unknown };

/** The lease as last seen ends on the server; a little later it surely has. */
const SLACK_MS = 10;
/** When to look again at a lock that somebody gave no end: its holder, if it lives, repairs it. */
const NO_END_MS = 1_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;
/** Polls become rarer up to so many times the first pause. */
const LONGEST_POLL = 20;

/**
 * One call of `acquire` or `tryAcquire`, from the first attempt to the lock. All its attempts are
 * made with the same holder id, so that one that follows an unanswered one finds what that did.
 *
 * Those who wait arm the wake-up first, then try, then sleep: a release between the try and the
 * sleep is kept by {@link Wake}.
 */
export class Acquisition {
  readonly #around: Surroundings;
  readonly #key: string;
  readonly #keys: LockKeys;
  readonly #wanted: AcquireSettings;
  readonly #holder: string = uuidv7();
  readonly #startedAtMs: number;
  readonly #patience: Patience;
  readonly #wake: Wake<Woken>;
  #listeningTo: Link | undefined;
  #stopListening: () => void = () => {};
  #lastFailure: unknown;
  #saidWaiting = false;
  #polls = 0;
  #failures = 0;
  /** An attempt of ours may have left a lock in Redis. */
  #mayStand = false;

  constructor(around: Surroundings, key: string, keys: LockKeys, wanted: AcquireSettings) {
    const { clock, commandTimeoutMs } = around.settings;
    const { signal, waitMs } = wanted;
    this.#around = around;
    this.#key = key;
    this.#keys = keys;
    this.#wanted = wanted;
    this.#startedAtMs = clock.nowMs();
    this.#wake = new Wake(clock);
    this.#patience = new Patience({
      clock,
      signal,
      waitMs: wanted.how === 'try' ? commandTimeoutMs : waitMs,
      timeout: () => this.#timeout(),
    });
  }

  /** Answers null only if it was not to wait. */
  async run(): Promise<HeldLock | null> {
    const { waiters } = this.#around;
    const place =
      this.#wanted.how === 'try'
        ? undefined
        : waiters.enter(this.#keys.lock, () => this.#wake.wake('turn'));
    let lock: HeldLock | null = null;
    try {
      this.#patience.throwIfOver();
      if (place?.isFirst === false) this.#sayWaiting();
      while (place?.isFirst === false) await this.#sleep();
      lock = await this.#acquire();
      return lock;
    } finally {
      this.#wake.end();
      this.#stopListening();
      this.#patience.end();
      place?.leave();
      if (lock === null) this.#leaveNothing();
    }
  }

  /** The caller is told so; what an attempt may still bring is given back. */
  exhaust(error: unknown): void {
    this.#patience.exhaust(error);
  }

  /** Another connection is used from now on. */
  moved(): void {
    this.#wake.wake('moved');
  }

  async #acquire(): Promise<HeldLock | null> {
    for (;;) {
      const link = this.#around.connections.current;
      this.#listenTo(link);
      if (!link.isUp) {
        await this.#sleep();
        continue;
      }
      const outcome = await this.#attempt(link);
      switch (outcome.is) {
        case 'acquired':
          return outcome.lock;
        case 'held':
          if (this.#wanted.how === 'try') return null;
          this.#failures = 0;
          await this.#waitForRelease(link, outcome.remainingMs);
          break;
        case 'failed':
          if (!isPassing(outcome.error)) throw outcome.error;
          this.#lastFailure = outcome.error;
          if (link.isUp) await this.#sleep({ afterMs: this.#nextPauseMs(), cause: 'pause' });
      }
    }
  }

  async #attempt(link: Link): Promise<Outcome> {
    const { connections, settings, releases, held } = this.#around;
    const { clock, driftRatio } = settings;
    const { leaseMs, autoExtend } = this.#wanted;
    const [key, keys, holder] = [this.#key, this.#keys, this.#holder];
    const commands = new LockCommands(connections, key, keys.lock, holder);
    let lock: HeldLock | undefined;
    const lease = new Lease({
      key: keys.lock,
      label: key,
      leaseMs,
      driftRatio,
      autoExtend,
      clock,
      engine: link.engine,
      port: link.port,
      commands,
      onLost: (reason) => lock?.wasLost(reason),
    });
    this.#wake.forget();
    lease.acquiring();
    const sent = link.send(key, (port) => acquire(port, keys, holder, leaseMs));
    let answer: AcquireAnswer;
    try {
      answer = await this.#patience.orOver(sent);
      // The caller may have gone after the answer came and before this runs.
      this.#patience.throwIfOver();
    } catch (error) {
      lease.abandon();
      if (this.#patience.isOver) this.#giveBackLater(sent);
      this.#patience.throwIfOver();
      if (isUnknown(error)) this.#mayStand = true;
      return { is: 'failed', error };
    }
    if (answer.is !== 'acquired') {
      lease.abandon();
      if (answer.is === 'held') return answer;
      const message = `lock '${key}': its key in Redis holds something that is no lock`;
      return { is: 'failed', error: new ConfigError(message, { key }) };
    }
    lease.held();
    if (!lease.isHeld) {
      this.#mayStand = true;
      const message = `lock '${key}': Redis answered after the lease was over`;
      return { is: 'failed', error: new UnavailableError(message, { key }) };
    }
    const { fencingToken } = answer;
    lock = new HeldLock({
      ...{ key, lockKey: keys.lock, holder, fencingToken, lease, commands, releases },
      onEnd: (ended) => held.delete(ended),
    });
    held.add(lock);
    if (connections.current !== link) lease.moveTo(connections.current);
    const waitedMs = clock.nowMs() - this.#startedAtMs;
    publish('redcache:lock:acquired', () => ({ key, holder, fencingToken, waitedMs }));
    return { is: 'acquired', lock };
  }

  async #waitForRelease(link: Link, remainingMs: number): Promise<void> {
    this.#sayWaiting();
    if (!link.tracks) await this.#patience.orOver(this.#around.connections.contended(this.#key));
    const endMs = remainingMs < 0 ? NO_END_MS : remainingMs + SLACK_MS;
    let woken = await this.#sleep(
      link.tracks
        ? { afterMs: endMs, cause: 'timer' }
        : { afterMs: Math.min(this.#nextPollMs(), endMs), cause: 'poll' },
    );
    // Redis is gone: there is nothing to try until it is back.
    while (!link.isUp && this.#around.connections.current === link) woken = await this.#sleep();
    const [key, holder, cause] = [this.#key, this.#holder, wokenBy(woken)];
    publish('redcache:lock:woken', () => ({ key, holder, cause }));
  }

  #sleep(timeout?: { readonly afterMs: number; readonly cause: Woken }): Promise<Woken> {
    return this.#patience.orOver(this.#wake.sleep(timeout));
  }

  /** Hears the pushes of the lock, and how the connection is, over the link in use. */
  #listenTo(link: Link): void {
    if (this.#listeningTo === link) return;
    this.#stopListening();
    this.#listeningTo = link;
    const stopPushes = link.engine.onInvalidation(this.#keys.lock, (cause) =>
      this.#wake.wake(cause === 'close' ? 'disconnect' : cause),
    );
    const stopConnection = link.port.onConnection((connection) =>
      this.#wake.wake(connection === 'up' ? 'up' : 'disconnect'),
    );
    this.#stopListening = () => {
      stopPushes();
      stopConnection();
    };
  }

  /** Exponential, and less by chance, so that those who were refused together don't ask together. */
  #nextPollMs(): number {
    const { delayMs, jitter, attempts } = this.#around.settings.retry;
    if (this.#polls >= attempts)
      throw new AcquireTimeoutError(this.#key, `${attempts} polls`, this.#lastFailure);
    const pauseMs = delayMs * Math.min(2 ** this.#polls, LONGEST_POLL);
    this.#polls += 1;
    return pauseMs * (1 - jitter * Math.random());
  }

  #nextPauseMs(): number {
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures += 1;
    return pauseMs;
  }

  #sayWaiting(): void {
    if (this.#saidWaiting) return;
    this.#saidWaiting = true;
    const [key, holder] = [this.#key, this.#holder];
    publish('redcache:lock:waiting', () => ({ key, holder }));
  }

  #timeout(): unknown {
    const { how, waitMs } = this.#wanted;
    const [key, cause] = [this.#key, this.#lastFailure];
    if (how === 'acquire') return new AcquireTimeoutError(key, `${waitMs} ms`, cause);
    const { commandTimeoutMs } = this.#around.settings;
    const message = `lock '${key}': Redis could not be asked within ${commandTimeoutMs} ms`;
    return new UnavailableError(message, { key, cause });
  }

  /** The caller has gone: what the answer brings, if it still comes, is given back then. */
  #giveBackLater(sent: Promise<AcquireAnswer>): void {
    const mayStand = sent.then((late) => late.is === 'acquired', isUnknown);
    this.#around.releases.after(mayStand, this.#leftover());
  }

  #leaveNothing(): void {
    if (this.#mayStand) this.#around.releases.now(this.#leftover());
  }

  /** Redis may have run the attempt just now, however long ago it was sent. */
  #leftover(): Leftover {
    const forMs = this.#wanted.leaseMs;
    return { key: this.#key, lockKey: this.#keys.lock, holder: this.#holder, forMs };
  }
}

/** It will pass by itself: try again. */
function isPassing(error: unknown): boolean {
  return isUnknown(error) || (isRedcacheError(error) && error.code === 'REDCACHE_UNAVAILABLE');
}

function isUnknown(error: unknown): boolean {
  return isRedcacheError(error) && error.code === 'REDCACHE_OUTCOME_UNKNOWN';
}

function wokenBy(woken: Woken): WokenBy {
  switch (woken) {
    case 'up':
      return 'disconnect';
    case 'moved':
    case 'turn':
    case 'pause':
      return 'poll';
    default:
      return woken;
  }
}
