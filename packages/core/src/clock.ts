/**
 * Time as redcache sees it: monotonic milliseconds with an arbitrary origin. Every deadline and
 * every timer of the packages comes from a `Clock`, so that tests decide what time it is.
 */
export interface Clock {
  /** Monotonic; comparable only with other answers of the same clock. */
  nowMs(): number;
  /** Calls `run` once, no earlier than `delayMs` from now. */
  setTimer(delayMs: number, run: () => void): Timer;
}

export interface Timer {
  /** After this `run` is never called. Harmless when it already was. */
  cancel(): void;
  /** The process need not stay alive for it. */
  unref?(): void;
}

/** Node clamps longer delays to one millisecond, so that a timer for a month would fire at once. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

class SystemTimer implements Timer {
  readonly #dueAtMs: number;
  readonly #run: () => void;
  #handle: NodeJS.Timeout;
  #isUnrefed = false;

  constructor(delayMs: number, run: () => void) {
    this.#dueAtMs = performance.now() + delayMs;
    this.#run = run;
    this.#handle = this.#arm();
  }

  #arm(): NodeJS.Timeout {
    const leftMs = Math.ceil(this.#dueAtMs - performance.now());
    const handle = setTimeout(() => this.#fire(), Math.min(leftMs, LONGEST_TIMEOUT_MS));
    return this.#isUnrefed ? handle.unref() : handle;
  }

  /** Node counts from the start of the current turn of its loop: after a busy one it is early. */
  #fire(): void {
    if (performance.now() < this.#dueAtMs) this.#handle = this.#arm();
    else this.#run();
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }

  unref(): void {
    this.#isUnrefed = true;
    this.#handle.unref();
  }
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  setTimer: (delayMs, run) => new SystemTimer(delayMs, run),
};
