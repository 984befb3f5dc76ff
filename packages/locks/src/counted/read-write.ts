import { type Body, type BodyArguments, readBody, runHolding } from '../body.ts';
import type { Lock } from '../lock.ts';
import type { Access, AcquireOptions, TryAcquireOptions } from '../options.ts';
import type { Counted } from './counted.ts';
import type { CountedView } from './view.ts';

/**
 * A lock that any number may hold to read, or one alone to write. Made by {@link Locks.readWrite}.
 *
 * Nobody overtakes one who waits: those who come to read after a writer get the lock after it, so that
 * no stream of readers keeps it away for ever, and a stream of writers no reader.
 *
 * The fencing token of a writer is higher than those of all who had the lock before it, and lower
 * than those of all who get it after it; those of readers beside each other are in no order. Readers
 * of one process share a lease, and with it the holder id, the remaining time and what
 * {@link Lock.extend} does to it.
 */
export class ReadWriteLock {
  readonly key: string;
  readonly #counted: Counted;

  constructor(key: string, counted: Counted) {
    this.key = key;
    this.#counted = counted;
  }

  /**
   * Takes the lock to read, waiting while somebody writes or waits to write.
   *
   * Sends: nothing if this process reads already and nobody was found waiting; at least every
   * `handoff.maxMs` that lease is extended first, which tells. Else EVALSHA `take` (1 key), once if
   * there is no writer; if there is one the first caller of this process stands in the queue by
   * EVALSHA `join` (3 keys), and sends it once more each time it is woken: by a release, at the end of
   * a lease, after a reconnect. EVAL instead where the server does not know the script.
   * Time: `wait` alone bounds it, also while Redis is down or does not answer. The lease counts from
   * before the send.
   * Throws: `AcquireTimeoutError` after `wait`; `TooManyWaitingError` as `acquire` of a lock; `ConfigError` if the key is in use as something else;
   * what the server says if it refuses for good.
   * Abort: rejects with the signal's reason; a lock that is still granted is given back.
   */
  async read(options?: AcquireOptions): Promise<Lock> {
    return await this.#counted.acquire('readWrite.read', 'read', options);
  }

  /**
   * Takes the lock to write, waiting until nobody else has it. From its first answer on those who come
   * later wait behind it, where pushes are heard.
   *
   * Sends: nothing if a writer of this process passes it on. Else as {@link read}.
   * Time, Throws, Abort: as for {@link read}.
   */
  async write(options?: AcquireOptions): Promise<Lock> {
    return await this.#counted.acquire('readWrite.write', 'write', options);
  }

  /**
   * Takes the lock to read if nobody writes or waits in the queue.
   *
   * Sends: EVALSHA `take` (1 key), EVAL once on NOSCRIPT; nothing if this process writes.
   * Resolves: null if it can't be had now.
   * Time: `commandTimeout` bounds it.
   * Throws: `UnavailableError` if Redis could not be asked within that time; a lock that is still
   * granted is given back. `ConfigError` as {@link read}.
   * Abort: as for {@link read}.
   */
  async tryRead(options?: TryAcquireOptions): Promise<Lock | null> {
    return await this.#counted.attempt('readWrite.tryRead', 'read', options);
  }

  /**
   * Takes the lock to write if nobody has it or waits for it in the queue.
   *
   * Sends, Resolves, Time, Throws, Abort: as for {@link tryRead}.
   */
  async tryWrite(options?: TryAcquireOptions): Promise<Lock | null> {
    return await this.#counted.attempt('readWrite.tryWrite', 'write', options);
  }

  /**
   * Runs `body` while holding the lock to read, waiting for it as {@link read} does, and gives it back
   * however `body` ends.
   *
   * Resolves: with what `body` does, if the lock was held to its end.
   * Throws: what `body` throws, as it is; `LockLostError` if `body` ended well but the lock was lost
   * meanwhile, since somebody may have written; what {@link read} throws.
   */
  async withRead<T>(body: Body<T>): Promise<T>;
  async withRead<T>(options: AcquireOptions, body: Body<T>): Promise<T>;
  async withRead<T>(...given: BodyArguments<AcquireOptions, T>): Promise<T> {
    return await this.#run('readWrite.withRead', 'read', given);
  }

  /**
   * Runs `body` while holding the lock to write, and gives it back however `body` ends.
   *
   * Resolves, Throws: as for {@link withRead}.
   */
  async withWrite<T>(body: Body<T>): Promise<T>;
  async withWrite<T>(options: AcquireOptions, body: Body<T>): Promise<T>;
  async withWrite<T>(...given: BodyArguments<AcquireOptions, T>): Promise<T> {
    return await this.#run('readWrite.withWrite', 'write', given);
  }

  /**
   * Who has the lock, how and for how long, which processes wait, and what this process itself has and
   * wants. It may be otherwise by the time the answer is here.
   *
   * Sends: EVALSHA `inspect` (1 key), EVAL once on NOSCRIPT. Names the first 100 of each.
   * Throws: `UnavailableError` if Redis could not be asked within `commandTimeout`.
   */
  async inspect(): Promise<CountedView> {
    return await this.#counted.inspect('readWrite.inspect');
  }

  async #run<T>(
    where: string,
    access: Access,
    given: BodyArguments<AcquireOptions, T>,
  ): Promise<T> {
    const { options, body } = readBody(where, given);
    return await runHolding(await this.#counted.acquire(where, access, options), body);
  }
}
