import type { Source } from '@redcache/core';
import { Flight } from '@redcache/core/toolkit';
import type { Answer } from './answer.ts';

type Home = ConstructorParameters<typeof Flight>[0];

/**
 * One read or load of a key that several callers wait for, each with a signal of his own. When the
 * last of them has gone it is aborted; a caller without a signal never goes.
 */
export class SharedRead extends Flight<Answer> {
  /** Made when somebody asks for its signal: most reads are over before. */
  #controller: AbortController | undefined;
  readonly #goesOn: boolean;
  #callers = 0;
  #sinceMs = Number.NEGATIVE_INFINITY;
  #source: Source | undefined;

  /** `goesOn`: also when all its callers have gone. */
  constructor(home: Home, id: string, goesOn = false) {
    super(home, id);
    this.#goesOn = goesOn;
  }

  /** Since when what it will answer is read. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** The connection as it was then; none if it was down. */
  get source(): Source | undefined {
    return this.#source;
  }

  renew(sinceMs: number, source: Source | undefined): void {
    this.#sinceMs = sinceMs;
    this.#source = source;
  }

  /** Aborted when nobody waits any more, or the cache is closed. */
  get signal(): AbortSignal {
    return this.#made.signal;
  }

  get #made(): AbortController {
    this.#controller ??= new AbortController();
    return this.#controller;
  }

  /** Whether anybody waits for it. */
  get isAwaited(): boolean {
    return this.#callers > 0;
  }

  /** Rejects with the reason of `signal` as it is. */
  join(signal: AbortSignal | undefined): Promise<Answer> {
    this.#callers += 1;
    if (signal === undefined) return this.promise;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        reject(signal.reason);
        this.#callers -= 1;
        if (this.#callers === 0 && !this.#goesOn) this.abort(signal.reason);
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

  /** As {@link land}, unless it has landed already. */
  offer(answer: Answer): void {
    if (!this.landed) this.land(answer);
  }

  /** Rejects whoever still waits, at once; what runs for it is told by {@link signal}. */
  abort(reason: unknown): void {
    if (!this.landed) this.end(reason);
  }

  /** As {@link abort}, also if it has landed, with a value that had aged, while its load goes on. */
  end(reason: unknown): void {
    if (!this.landed) this.fail(reason);
    this.#made.abort(reason);
  }
}
