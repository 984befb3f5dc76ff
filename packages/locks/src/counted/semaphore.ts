import { type Body, type BodyArguments, readBody, runHolding } from '../body.ts';
import type { Lock } from '../lock.ts';
import type { AcquireOptions, TryAcquireOptions } from '../options.ts';
import type { Counted } from './counted.ts';
import type { CountedView } from './view.ts';

/**
 * A lock that so many may hold at once, each by a permit of its own. Made by {@link Locks.semaphore}.
 *
 * A permit is a {@link Lock} like any other, with signal, extension and release. Its fencing token is
 * given to nobody else, and is higher than those of all leases that had ended when its own lease
 * began; those of permits that are held at the same time are in no order.
 */
export class Semaphore {
  readonly key: string;
  readonly permits: number;
  readonly #counted: Counted;

  constructor(key: string, permits: number, counted: Counted) {
    this.key = key;
    this.permits = permits;
    this.#counted = counted;
  }

  /**
   * Takes a permit, waiting until there is one. Callers of this process get permits in the order in
   * which they came, and so do processes where pushes are heard; nobody overtakes who waits.
   *
   * Sends: nothing if a caller of this process passes its permit on. Else EVALSHA `take` (1 key), once
   * if there is a permit; if not the first caller of this process stands in the queue by EVALSHA
   * `join` (3 keys), and sends it once more each time it is woken: by a release, at the end of a
   * lease, after a reconnect. A permit that was passed on for `handoff.maxMs` is extended first, which
   * tells whether others wait. EVAL instead where the server does not know the script.
   * Time: `wait` alone bounds it, also while Redis is down or does not answer. The lease counts from
   * before the send.
   * Throws: `AcquireTimeoutError` after `wait`; `TooManyWaitingError` as `acquire` of a lock; `ConfigError` if the key is in use as something else,
   * or with another number of permits; what the server says if it refuses for good.
   * Abort: rejects with the signal's reason; a permit that is still granted is given back.
   */
  async acquire(options?: AcquireOptions): Promise<Lock> {
    return await this.#counted.acquire('semaphore.acquire', undefined, options);
  }

  /**
   * Takes a permit if there is one that nobody in the queue waits for.
   *
   * Sends: EVALSHA `take` (1 key), EVAL once on NOSCRIPT; nothing if this process has all permits.
   * Resolves: null if there is none.
   * Time: `commandTimeout` bounds it.
   * Throws: `UnavailableError` if Redis could not be asked within that time; a permit that is still
   * granted is given back. `ConfigError` as {@link acquire}.
   * Abort: as for {@link acquire}.
   */
  async tryAcquire(options?: TryAcquireOptions): Promise<Lock | null> {
    return await this.#counted.attempt('semaphore.tryAcquire', undefined, options);
  }

  /**
   * Runs `body` while holding a permit, waiting for it as {@link acquire} does, and gives it back
   * however `body` ends.
   *
   * Resolves: with what `body` does, if the permit was held to its end.
   * Throws: what `body` throws, as it is; `LockLostError` if `body` ended well but the permit was lost
   * meanwhile, since another may have had it too; what {@link acquire} throws.
   */
  async withLock<T>(body: Body<T>): Promise<T>;
  async withLock<T>(options: AcquireOptions, body: Body<T>): Promise<T>;
  async withLock<T>(...given: BodyArguments<AcquireOptions, T>): Promise<T> {
    const { options, body } = readBody('semaphore.withLock', given);
    const lock = await this.#counted.acquire('semaphore.withLock', undefined, options);
    return await runHolding(lock, body);
  }

  /**
   * Who holds permits and for how long, which processes wait, and what this process itself has and
   * wants. It may be otherwise by the time the answer is here.
   *
   * Sends: EVALSHA `inspect` (1 key), EVAL once on NOSCRIPT. Names the first 100 of each.
   * Throws: `UnavailableError` if Redis could not be asked within `commandTimeout`.
   */
  async inspect(): Promise<CountedView> {
    return await this.#counted.inspect('semaphore.inspect');
  }
}
