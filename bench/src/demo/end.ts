import { constants } from 'node:os';

/**
 * When and why the run ends: its time is over, the user wants it, or something broke. A second
 * Ctrl-C does not wait any longer; what was started goes with this process.
 */
export class End {
  readonly errors: string[] = [];
  readonly #abort = new AbortController();
  #over = (): void => {};
  readonly #early = new Promise<void>((resolve) => {
    this.#over = resolve;
  });

  constructor() {
    process.on('SIGINT', this.#onSignal).on('SIGTERM', this.#onSignal);
  }

  /** Whether it was ended before its time. */
  get isEarly(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Aborted when it is to end before its time. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  readonly failed = (error: unknown): void => {
    this.errors.push(error instanceof Error ? error.message : String(error));
    this.#stop();
  };

  /** Resolves after that time, or at once when it is to end before. */
  async after(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const time = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    await Promise.race([time, this.#early]);
    clearTimeout(timer);
  }

  /** Resolves with the promise, or when it is to end before. */
  async orEarly(promise: Promise<void> | undefined): Promise<void> {
    await Promise.race([promise, this.#early]);
  }

  close(): void {
    process.off('SIGINT', this.#onSignal).off('SIGTERM', this.#onSignal);
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    if (this.isEarly) process.exit(128 + constants.signals[signal]);
    this.#stop();
  };

  #stop(): void {
    this.#abort.abort();
    this.#over();
  }
}
