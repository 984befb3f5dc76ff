import { Flight } from '@redcache/core/toolkit';

/**
 * One read or load of a key that several callers wait for, each with a signal of his own. When the
 * last of them has gone it is aborted; a caller without a signal never goes.
 */
export class SharedRead extends Flight<unknown> {
  readonly #controller = new AbortController();
  #callers = 0;

  /** Aborted when nobody waits any more, or the cache is closed. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Rejects with the reason of `signal` as it is. */
  join(signal: AbortSignal | undefined): Promise<unknown> {
    this.#callers += 1;
    if (signal === undefined) return this.promise;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        reject(signal.reason);
        this.#callers -= 1;
        if (this.#callers === 0) this.abort(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
      const stay = (): void => signal.removeEventListener('abort', leave);
      this.promise.then(
        (value) => {
          stay();
          resolve(value);
        },
        (error: unknown) => {
          stay();
          reject(error);
        },
      );
    });
  }

  /** Rejects whoever still waits, at once; what runs for it is told by {@link signal}. */
  abort(reason: unknown): void {
    if (this.landed) return;
    this.fail(reason);
    this.#controller.abort(reason);
  }
}
