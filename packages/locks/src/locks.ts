import { ClosedError, ConfigError, UnavailableError } from '@redcache/core';
import { Budget, checkKey, countTo, ShortLivedMap } from '@redcache/core/toolkit';
import type { Bid } from './bid/bid.ts';
import { LockBid } from './bid/lock-bid.ts';
import { type Body, type BodyArguments, readBody, runHolding } from './body.ts';
import { type ConnectionSource, Connections, sourceOf } from './connections.ts';
import { ContendedKeys } from './contended-keys.ts';
import { Counted } from './counted/counted.ts';
import { type Kind, READ_WRITE, semaphoreOf } from './counted/kind.ts';
import { ReadWriteLock } from './counted/read-write.ts';
import { readWriteRules, semaphoreRules } from './counted/rules.ts';
import { inspect as inspectCounted } from './counted/scripts/inspect.ts';
import { Semaphore } from './counted/semaphore.ts';
import { countedView } from './counted/view.ts';
import { Desk, type DeskRules } from './desk.ts';
import { isUnknown } from './failures.ts';
import { newHolder } from './holder-ids.ts';
import { type LockView, localView, lockView } from './inspection.ts';
import { lockKeys, spreadKeys } from './keys.ts';
import type { HeldLock, Lock } from './lock.ts';
import { HeldLockSet, type LockSet } from './lock-set.ts';
import {
  type AcquireOptions,
  type AcquireSettings,
  type LocksOptions,
  type LocksSettings,
  readAcquireOptions,
  readLocksOptions,
  type TryAcquireOptions,
} from './options.ts';
import { inspectPlaces, isLockedIn } from './quorum/look.ts';
import type { Place } from './quorum/member.ts';
import { QuorumBid } from './quorum/quorum-bid.ts';
import { Releases } from './releases.ts';
import { type LocksStats, Tally } from './tally.ts';
import { WaitingRoom } from './waiting-room.ts';

/** As many of those who wait are named at most. */
const MOST_NAMED = 100;
/** More would hardly be a limit. */
const MOST_PERMITS = 1_000_000;

const permitCount = countTo(MOST_PERMITS);

/** Where locks are kept. */
export interface Deployments {
  /** Independent of each other. */
  readonly sources: readonly ConnectionSource[];
  /** How many keys are needed of each lock, out of twice as many less one. */
  readonly keyMajority: number;
}

/** What a desk is for. */
interface DeskKind {
  readonly settings: LocksSettings;
  readonly rules: DeskRules;
}

/** A call of a quorum that does not wait may take two rounds, and an attempt that came too late before. */
const ROUNDS = 3;

/**
 * Locks in Redis, one key each. Made by {@link createLocks}.
 *
 * Every call throws `ConfigError` for bad arguments before anything is sent, and `ClosedError` once
 * {@link Locks.close} was called.
 */
export class Locks implements AsyncDisposable {
  readonly #settings: LocksSettings;
  /** One for each of the independent servers. */
  readonly #connections: readonly Connections[];
  readonly #keyMajority: number;
  readonly #budget: Budget;
  readonly #releases: Releases;
  readonly #tally = new Tally();
  readonly #room: WaitingRoom;
  readonly #desks = new ShortLivedMap<string, Desk>();
  readonly #contended = new ContendedKeys();
  #closing: Promise<void> | undefined;
  /** From the start of {@link Locks.close} on: whoever is told of it may ask for a lock at once. */
  #isClosed = false;

  constructor(settings: LocksSettings, { sources, keyMajority }: Deployments) {
    const budget = new Budget(settings.clock, settings.commandTimeoutMs);
    const moved = (): void => {
      for (const desk of this.#desks.values()) desk.moved();
    };
    this.#settings = settings;
    this.#connections = sources.map((source) => new Connections(source, budget, moved));
    this.#keyMajority = keyMajority;
    this.#budget = budget;
    this.#releases = new Releases(settings.clock, budget);
    this.#room = new WaitingRoom(settings.maxWaiting);
  }

  /**
   * Takes the lock of `key`, waiting for whoever has it. Callers of this process get it in the order
   * in which they came, one from the other without a round trip. Processes that wait get it in the
   * order in which they came as well, where pushes are heard.
   *
   * Sends: EVALSHA `acquire` (1 key) if nobody of this process has the lock, once if it is free. Else
   * the first caller of this process stands in the queue by EVALSHA `join` (3 keys), and sends it once
   * more each time it is woken: by a release, at the end of the lease, after a reconnect. EVAL instead
   * where the server does not know the script.
   * Of several servers or keys: EVALSHA `acquire` to all at once, and `raise-fence` (1 key) to them when
   * a majority has granted it; nobody stands in a queue there.
   * Time: `wait` alone bounds it, also while Redis is down or does not answer. The lease counts from
   * before the send.
   * Throws: `AcquireTimeoutError` after `wait`, `TooManyWaitingError` at once if as many callers wait as
   * may, `ConfigError` if the key holds something else, what the server says if it refuses for good.
   * Abort: rejects with the signal's reason; a lock that is still granted is given back.
   */
  async acquire(key: string, options?: AcquireOptions): Promise<Lock> {
    return await this.#acquire('acquire', key, options);
  }

  /**
   * Takes the lock of `key` if it is free. Does not queue behind callers of this process who wait.
   *
   * Sends: EVALSHA `acquire` (1 key), EVAL once on NOSCRIPT; nothing if this process has the lock.
   * Resolves: null if somebody has it, or is just being offered it.
   * Time: `commandTimeout` bounds it.
   * Throws: `UnavailableError` if Redis could not be asked within that time; a lock that is still
   * granted is given back. `QuorumError` with every vote if too many of several servers failed.
   * Abort: as for {@link acquire}.
   */
  async tryAcquire(key: string, options?: TryAcquireOptions): Promise<Lock | null> {
    const wanted = this.#wanted('tryAcquire', key, false, options);
    return await this.#deskOf(key).attempt(wanted, 'try');
  }

  /**
   * Takes the lock of `key` from whoever has it; whoever waits goes on waiting. The signal of the
   * holder before aborts with the reason 'taken': at once in this process, by the push in another.
   * Until then it may still be at work, so protect what matters by the fencing token.
   *
   * Sends: EVALSHA `acquire` (1 key), EVAL once on NOSCRIPT. Atomic.
   * Time, Throws, Abort: as for {@link tryAcquire}; `ConfigError` if the key holds what no lock wrote.
   */
  async forceAcquire(key: string, options?: TryAcquireOptions): Promise<Lock> {
    const wanted = this.#wanted('forceAcquire', key, false, options);
    return (await this.#deskOf(key).attempt(wanted, 'force')) as Lock;
  }

  /**
   * Takes the locks of all keys, each once, one after the other in the order of their names: so two
   * that want some of the same never wait for each other.
   *
   * Sends: for each key what {@link acquire} sends.
   * Time: `wait` bounds all of them together.
   * Throws: as {@link acquire}, and `LockLostError` if one was lost before all were had; the locks that
   * were had by then are given back.
   */
  async acquireMany(keys: Iterable<string>, options?: AcquireOptions): Promise<LockSet> {
    const names = [...keys];
    for (const key of names) checkKey(key, 'acquireMany');
    if (names.length === 0) throw new ConfigError('acquireMany: there must be a key');
    const wanted = readAcquireOptions('acquireMany', true, options, this.#settings);
    const { clock } = this.#settings;
    const untilMs = wanted.waitMs === undefined ? undefined : clock.nowMs() + wanted.waitMs;
    const held: HeldLock[] = [];
    try {
      for (const key of [...new Set(names)].sort()) {
        this.#assertOpen('acquireMany');
        wanted.signal?.throwIfAborted();
        const waitMs = untilMs === undefined ? undefined : Math.max(0, untilMs - clock.nowMs());
        held.push(await this.#deskOf(key).acquire({ ...wanted, waitMs }));
      }
      for (const lock of held) lock.signal.throwIfAborted();
      return new HeldLockSet(held);
    } catch (error) {
      await new HeldLockSet(held)[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Runs `body` while holding the lock of `key`, waiting for it as {@link acquire} does, and gives
   * it back however `body` ends.
   *
   * Resolves: with what `body` does, if the lock was held to its end.
   * Throws: what `body` throws, as it is; `LockLostError` if `body` ended well but the lock was lost
   * meanwhile, since others may have held it too; what {@link acquire} throws.
   */
  async withLock<T>(key: string, body: Body<T>): Promise<T>;
  async withLock<T>(key: string, options: AcquireOptions, body: Body<T>): Promise<T>;
  async withLock<T>(key: string, ...given: BodyArguments<AcquireOptions, T>): Promise<T> {
    const { options, body } = readBody('withLock', given);
    return runHolding(await this.#acquire('withLock', key, options), body);
  }

  /**
   * The semaphore of `key`, which so many may hold at once. All who use the key must agree on the
   * number; asked again it is the same semaphore. Sends nothing.
   *
   * Throws: `ConfigError` for locks of a majority as well.
   */
  semaphore(key: string, permits: number): Semaphore {
    checkKey(key, 'semaphore');
    const kind = semaphoreOf(permitCount(permits, 'semaphore: permits'));
    return new Semaphore(key, permits, this.#counted('semaphore', key, kind));
  }

  /**
   * The read-write lock of `key`, which any number may hold to read, or one alone to write. Asked
   * again it is the same lock. Sends nothing.
   *
   * Throws: `ConfigError` for locks of a majority as well.
   */
  readWrite(key: string): ReadWriteLock {
    checkKey(key, 'readWrite');
    return new ReadWriteLock(key, this.#counted('readWrite', key, READ_WRITE));
  }

  /**
   * Whether anybody holds the lock of `key`; it may be otherwise by the time the answer is here.
   *
   * Sends: EXISTS. A majority decides.
   * Throws: `UnavailableError` if Redis could not be asked within `commandTimeout`, `QuorumError` if too
   * many of several servers could not.
   */
  async isLocked(key: string): Promise<boolean> {
    checkKey(key, 'isLocked');
    this.#assertOpen('isLocked');
    return this.#asked(key, () => isLockedIn(key, this.#placesOf(key)));
  }

  /**
   * Who has the lock of `key` and for how long, which processes wait for it, and what this process
   * itself has and wants of it. It may be otherwise by the time the answer is here.
   *
   * Sends: EVALSHA `inspect` (1 key), EVAL once on NOSCRIPT. Names the first 100 that wait. Of several
   * servers or keys: the holder who has a majority, if anybody has; nobody stands in a queue there.
   * Throws: `UnavailableError` if Redis could not be asked within `commandTimeout`, `QuorumError` if too
   * many of several servers could not.
   */
  async inspect(key: string): Promise<LockView> {
    checkKey(key, 'inspect');
    this.#assertOpen('inspect');
    const seen = await this.#asked(key, () => inspectPlaces(key, this.#placesOf(key), MOST_NAMED));
    const nowMs = this.#settings.clock.nowMs();
    return lockView(key, seen, localView(this.#desks.get(mutexDesk(key)), nowMs));
  }

  /** What the locks have gone through since they were made. Sends nothing. */
  stats(): LocksStats {
    let [held, waiting] = [0, 0];
    for (const desk of this.#desks.values()) {
      for (const { users } of desk.tenures) held += users.size;
      waiting += desk.waiting.length;
    }
    return this.#tally.stats({ held, waiting });
  }

  /**
   * Ends everything: those who wait are rejected with `ClosedError`, locks that are held are lost
   * ('closed') and given back, the connection of our own is closed. The user's client is not.
   *
   * Time: while Redis does not answer, `commandTimeout` twice at most.
   * Resolves: always, when no timer and no listener is left.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    const closed = new ClosedError('the locks are closed');
    await Promise.all(this.#desks.values().map((desk) => desk.close(closed)));
    // What attempts may have left in Redis is known by now.
    await this.#releases.close();
    await Promise.all(this.#connections.map((connections) => connections.close()));
  }

  #acquire(where: string, key: string, options: unknown): Promise<HeldLock> {
    const wanted = this.#wanted(where, key, true, options);
    return this.#deskOf(key).acquire(wanted);
  }

  #wanted(where: string, key: string, waits: boolean, options: unknown): AcquireSettings {
    checkKey(key, where);
    const wanted = readAcquireOptions(where, waits, options, this.#settings);
    this.#assertOpen(where);
    wanted.signal?.throwIfAborted();
    return wanted;
  }

  #deskOf(key: string): Desk {
    return this.#desk(mutexDesk(key), key, this.#kindOf);
  }

  #desk(name: string, key: string, kindOf: (key: string) => DeskKind): Desk {
    const known = this.#desks.get(name);
    if (known !== undefined) return known;
    const { settings, rules } = kindOf(key);
    const desk: Desk = new Desk({
      key,
      settings,
      rules,
      releases: this.#releases,
      tally: this.#tally,
      room: this.#room,
      wasContended: this.#contended.has(name),
      onIdle: ({ wasContended }) => {
        if (this.#desks.get(name) === desk) this.#desks.delete(name);
        this.#contended.note(name, wasContended);
      },
    });
    this.#desks.set(name, desk);
    return desk;
  }

  #counted(where: string, key: string, kind: Kind): Counted {
    const [settings, tally] = [this.#settings, this.#tally];
    const [connections] = this.#connections;
    if (connections === undefined || this.#connections.length > 1 || this.#keyMajority > 1)
      throw new ConfigError(
        `${where}: it is kept in one key of one deployment, not by a majority; make other locks for it`,
      );
    const name = deskName(kind.name, key);
    const rulesOf = kind === READ_WRITE ? readWriteRules : semaphoreRules;
    const desk = (): Desk =>
      this.#desk(name, key, () => ({
        settings,
        rules: rulesOf({ key, kind, settings, connections, tally }),
      }));
    return new Counted({
      wanted: (caller, waits, options) => this.#wanted(caller, key, waits, options),
      desk,
      inspect: async (caller) => {
        this.#assertOpen(caller);
        const keys = lockKeys(settings.prefix, key);
        const seen = await this.#asked(key, () =>
          connections.current.ask(
            key,
            (port) => inspectCounted(port, keys, MOST_NAMED),
            (inspected) => inspected,
          ),
        );
        return countedView({ key, kind }, seen, this.#desks.get(name), settings.clock.nowMs());
      },
    });
  }

  readonly #kindOf = (key: string): DeskKind => {
    const places = this.#placesOf(key);
    const settings = this.#settings;
    const [only] = places;
    if (places.length === 1 && only !== undefined) {
      const { connections, keys } = only;
      const bid = (): Bid =>
        new LockBid({ connections, keys, key, tally: this.#tally, holder: newHolder() });
      return { settings, rules: oneAtATime(bid) };
    }
    const { clock, retry, commandTimeoutMs } = settings;
    const [budget, releases, tally] = [this.#budget, this.#releases, this.#tally];
    const parts = { key, places, newHolder, clock, retry, budget, releases, tally };
    return {
      // Each round is bounded by itself, so that whoever asks is told every vote.
      settings: { ...settings, commandTimeoutMs: ROUNDS * commandTimeoutMs },
      rules: oneAtATime(() => new QuorumBid(parts)),
    };
  };

  #placesOf(key: string): readonly Place[] {
    const { prefix } = this.#settings;
    const [first, ...more] = this.#connections;
    if (first === undefined) return [];
    if (more.length === 0)
      return spreadKeys(prefix, key, 2 * this.#keyMajority - 1).map((keys) => ({
        connections: first,
        keys,
      }));
    const keys = lockKeys(prefix, key);
    return this.#connections.map((connections) => ({ connections, keys }));
  }

  /** A question that was not answered has changed nothing. */
  async #asked<T>(key: string, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (cause) {
      if (!isUnknown(cause)) throw cause;
      throw new UnavailableError(cause.message, { key, cause });
    }
  }

  #assertOpen(where: string): void {
    if (this.#isClosed) throw new ClosedError(`${where}: the locks are closed`);
  }
}

/** Of a kind and a key; no kind has a blank in its name. */
function deskName(kind: string, key: string): string {
  return `${kind} ${key}`;
}

function mutexDesk(key: string): string {
  return deskName('mutex', key);
}

const isUnused: DeskRules['mayUse'] = ({ users }) => users.size === 0;
const isNone: DeskRules['mayBid'] = (tenures) => tenures.length === 0;

/** What a mutex is. */
function oneAtATime(bid: DeskRules['bid']): DeskRules {
  const mostTokens = Number.POSITIVE_INFINITY;
  return { bid, mayUse: isUnused, mayBid: isNone, mostTokens, isExclusive: true };
}

/**
 * Makes locks over one client of node-redis, or over a majority of several servers. Sends nothing.
 *
 * Throws: `ConfigError` for bad or unknown options, and for what is no client of node-redis.
 */
export function createLocks(options: LocksOptions): Locks {
  const { clients, keyMajority, tracking, ...settings } = readLocksOptions(options);
  const sources = clients.map((client) => sourceOf(client, tracking));
  return new Locks(settings, { sources, keyMajority });
}
