/** Why a value is loaded anew that is still there. */
export type RefreshCause = 'grace' | 'early' | 'hot';

/** More than one process needs at a time would hammer the source. */
const MOST_RUNNING = 32;
const MOST_QUEUED = 1_000;

/**
 * Loads that nobody waits for, a bounded number at a time, each key once. What comes when too many wait
 * already is dropped: whoever uses the value next asks again.
 */
export class Refreshes {
  readonly #running = new Set<string>();
  readonly #queue = new Map<string, () => Promise<unknown>>();
  #isClosed = false;
  dropped = 0;

  /** Whether the key is being loaded anew, or waits for its turn. */
  has(key: string): boolean {
    return this.#running.has(key) || this.#queue.has(key);
  }

  /** `run` never rejects. Answers whether the key is, or will be, loaded anew. */
  ask(key: string, run: () => Promise<unknown>): boolean {
    if (this.#isClosed) return false;
    if (this.has(key)) return true;
    if (this.#running.size < MOST_RUNNING) {
      void this.#run(key, run);
      return true;
    }
    if (this.#queue.size >= MOST_QUEUED) {
      this.dropped += 1;
      return false;
    }
    this.#queue.set(key, run);
    return true;
  }

  /** Nothing is begun any more. What runs is ended by whoever runs it. */
  close(): void {
    this.#isClosed = true;
    this.#queue.clear();
  }

  async #run(key: string, run: () => Promise<unknown>): Promise<void> {
    this.#running.add(key);
    try {
      await run();
    } finally {
      this.#running.delete(key);
      this.#next();
    }
  }

  #next(): void {
    for (const [key, run] of this.#queue) {
      this.#queue.delete(key);
      void this.#run(key, run);
      return;
    }
  }
}
