/** Work that nobody waits for but `close()`; what it has to report goes to those whom it concerns. */
export class Background {
  #running = 0;
  #onIdle: (() => void)[] = [];

  track(work: Promise<unknown>): void {
    this.#running += 1;
    work.then(this.#done, this.#done);
  }

  /** Resolves once nothing runs any more, what was begun meanwhile included. */
  async settled(): Promise<void> {
    while (this.#running > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  // One for all: every read is tracked.
  readonly #done = (): void => {
    this.#running -= 1;
    if (this.#running > 0) return;
    const told = this.#onIdle;
    this.#onIdle = [];
    for (const resolve of told) resolve();
  };
}
