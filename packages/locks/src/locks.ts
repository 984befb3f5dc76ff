import { ClosedError, ConfigError, OutcomeUnknownError, UnavailableError } from '@redcache/core';
import { Budget, checkKey } from '@redcache/core/toolkit';
import { Acquisition } from './acquisition.ts';
import { type ConnectionSource, Connections, sourceOf } from './connections.ts';
import { lockKeys } from './keys.ts';
import type { HeldLock, Lock } from './lock.ts';
import {
  type AcquireOptions,
  type AcquireSettings,
  type LocksOptions,
  type LocksSettings,
  readAcquireOptions,
  readLocksOptions,
  type TryAcquireOptions,
} from './options.ts';
import { Releases } from './releases.ts';
import { Waiters } from './waiters.ts';

/** What a holder does while it holds the lock; it should stop when the lock's signal aborts. */
export type Body<T> = (lock: Lock) => T | PromiseLike<T>;

/**
 * Locks in Redis, one key each. Made by {@link createLocks}.
 *
 * Every call throws `ConfigError` for bad arguments before anything is sent, and `ClosedError` once
 * {@link Locks.close} was called.
 */
export class Locks implements AsyncDisposable {
  readonly #settings: LocksSettings;
  readonly #connections: Connections;
  readonly #releases: Releases;
  readonly #waiters = new Waiters();
  readonly #held = new Set<HeldLock>();
  readonly #acquisitions = new Map<Acquisition, Promise<unknown>>();
  #closing: Promise<void> | undefined;

  constructor(settings: LocksSettings, source: ConnectionSource) {
    const budget = new Budget(settings.clock, settings.commandTimeoutMs);
    this.#settings = settings;
    this.#connections = new Connections(source, budget, (link) => {
      for (const { lease } of this.#held) lease.moveTo(link);
      for (const acquisition of this.#acquisitions.keys()) acquisition.moved();
    });
    this.#releases = new Releases(this.#connections, settings.clock, budget);
  }

  /**
   * Takes the lock of `key`, waiting for whoever has it. Callers of this process get it in the order
   * in which they came; between processes whoever asks first when it is free.
   *
   * Sends: EVALSHA `acquire` (2 keys), once if the lock is free, and once more each time the first
   * caller of this process is woken: by a release, at the end of the lease, after a reconnect. EVAL
   * instead where the server does not know the script.
   * Time: `wait` alone bounds it, also while Redis is down or does not answer. The lease counts from
   * before the send.
   * Throws: `AcquireTimeoutError` after `wait`, `ConfigError` if the key holds something else, what
   * the server says if it refuses for good.
   * Abort: rejects with the signal's reason; a lock that is still granted is given back.
   */
  async acquire(key: string, options?: AcquireOptions): Promise<Lock> {
    const wanted = this.#wanted('acquire', key, 'acquire', options);
    return (await this.#run(key, wanted)) as Lock;
  }

  /**
   * Takes the lock of `key` if it is free. Does not queue behind callers of this process who wait.
   *
   * Sends: EVALSHA `acquire` (2 keys), EVAL once on NOSCRIPT.
   * Resolves: null if somebody has it.
   * Time: `commandTimeout` bounds it.
   * Throws: `UnavailableError` if Redis could not be asked within that time; a lock that is still
   * granted is given back.
   * Abort: as for {@link acquire}.
   */
  async tryAcquire(key: string, options?: TryAcquireOptions): Promise<Lock | null> {
    return this.#run(key, this.#wanted('tryAcquire', key, 'try', options));
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
  async withLock<T>(key: string, ...rest: [Body<T>] | [AcquireOptions, Body<T>]): Promise<T> {
    const body = rest.at(-1);
    if (typeof body !== 'function') throw new ConfigError('withLock: the body must be a function');
    const options = rest.length > 1 ? (rest[0] as AcquireOptions) : undefined;
    const wanted = this.#wanted('withLock', key, 'acquire', options);
    const lock = (await this.#run(key, wanted)) as HeldLock;
    let result: T;
    try {
      result = await body(lock);
    } catch (error) {
      await lock[Symbol.asyncDispose]();
      throw error;
    }
    // Not answered: the lock was held until now, and ends by itself.
    const outcome = await lock.release().catch(() => 'unanswered' as const);
    if (outcome === 'lost') throw lock.lossError();
    return result;
  }

  /**
   * Whether anybody holds the lock of `key`; it may be otherwise by the time the answer is here.
   *
   * Sends: EXISTS.
   * Throws: `UnavailableError` if Redis could not be asked within `commandTimeout`.
   */
  async isLocked(key: string): Promise<boolean> {
    checkKey(key, 'isLocked');
    this.#assertOpen('isLocked');
    const { lock } = lockKeys(this.#settings.prefix, key);
    try {
      const count = await this.#connections.current.ask(key, (port) => port.send(['EXISTS', lock]));
      return Number(count) > 0;
    } catch (cause) {
      // A question that was not answered has changed nothing.
      if (!(cause instanceof OutcomeUnknownError)) throw cause;
      throw new UnavailableError(cause.message, { key, cause });
    }
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
    const closed = new ClosedError('the locks are closed');
    const ending = [...this.#acquisitions];
    for (const [acquisition] of ending) acquisition.exhaust(closed);
    const givenBack = [...this.#held].map((lock) => lock.close());
    // What their attempts may have left in Redis is known when they have ended.
    await Promise.allSettled(ending.map(([, running]) => running));
    await Promise.all([this.#releases.close(), ...givenBack]);
    await this.#connections.close();
  }

  #wanted(
    where: string,
    key: string,
    how: AcquireSettings['how'],
    options: unknown,
  ): AcquireSettings {
    checkKey(key, where);
    const wanted = readAcquireOptions(where, how, options, this.#settings);
    this.#assertOpen(where);
    return wanted;
  }

  async #run(key: string, wanted: AcquireSettings): Promise<HeldLock | null> {
    const acquisition = new Acquisition(
      {
        settings: this.#settings,
        connections: this.#connections,
        waiters: this.#waiters,
        releases: this.#releases,
        held: this.#held,
      },
      key,
      lockKeys(this.#settings.prefix, key),
      wanted,
    );
    const running = acquisition.run();
    this.#acquisitions.set(acquisition, running);
    try {
      return await running;
    } finally {
      this.#acquisitions.delete(acquisition);
    }
  }

  #assertOpen(where: string): void {
    if (this.#closing !== undefined) throw new ClosedError(`${where}: the locks are closed`);
  }
}

/**
 * Makes locks over one client of node-redis. Sends nothing.
 *
 * Throws: `ConfigError` for bad or unknown options, and for what is no single client.
 */
export function createLocks(options: LocksOptions): Locks {
  const { client, tracking, ...settings } = readLocksOptions(options);
  return new Locks(settings, sourceOf(client, tracking));
}
