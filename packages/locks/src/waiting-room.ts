import { TooManyWaitingError } from './errors.ts';

/** How many callers of one `createLocks` have not got their lock yet, whichever lock that is. */
export class WaitingRoom {
  readonly #maxWaiting: number;
  #waiting = 0;

  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting;
  }

  /** Throws: {@link TooManyWaitingError} if it is full. */
  enter(key: string): void {
    if (this.#waiting >= this.#maxWaiting) throw new TooManyWaitingError(key, this.#maxWaiting); // guard: I12
    this.#waiting += 1;
  }

  leave(): void {
    this.#waiting -= 1;
  }
}
