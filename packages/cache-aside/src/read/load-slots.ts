import { Queue, type Queued } from '@redcache/core/toolkit';

interface Waiting extends Queued {
  readonly go: () => void;
  before: this | undefined;
  after: this | undefined;
}

/** So many loads at a time; the others wait in the order in which they came. */
export class LoadSlots {
  readonly #most: number;
  readonly #waiting = new Queue<Waiting>();
  #running = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Rejects with the reason of `signal`. Answers what gives the slot back. */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#running >= this.#most) await this.#wait(signal);
    else this.#running += 1;
    let isTaken = true;
    return () => {
      if (isTaken) this.#giveBack();
      isTaken = false;
    };
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.remove(waiting);
        reject(signal.reason);
      };
      const go = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const waiting: Waiting = { go, before: undefined, after: undefined };
      this.#waiting.push(waiting);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** It goes to the next, if there is one. */
  #giveBack(): void {
    const next = this.#waiting.first;
    if (next === undefined) {
      this.#running -= 1;
      return;
    }
    this.#waiting.remove(next);
    next.go();
  }
}
