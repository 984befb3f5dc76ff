/** Work that nobody waits for but `close()`; what it has to report goes to those whom it concerns. */
export class Background {
  #running = 0;
  #onIdle: (() => void)[] = [];

  track(work: Promise<unknown>): void {
    this.begun();
    work.then(this.#ended, this.#ended);
  }

  /** For work that says so itself when it has {@link ended}, whatever becomes of it. */
  begun(): void {
    this.#running += 1;
  }

  ended(): void {
    this.#running -= 1;
    if (this.#running > 0 || this.#onIdle.length === 0) return;
    const told = this.#onIdle;
    this.#onIdle = [];
    for (const resolve of told) resolve();
  }

  /** Resolves once nothing runs any more, what was begun meanwhile included. */
  async settled(): Promise<void> {
    while (this.#running > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  readonly #ended = (): void => this.ended();
}
