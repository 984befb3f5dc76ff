/** Work that nobody waits for but `close()`; what it has to report goes to those whom it concerns. */
export class Background {
  readonly #running = new Set<Promise<void>>();

  track(work: Promise<unknown>): void {
    const done = (): void => void this.#running.delete(settled);
    const settled = work.then(done, done);
    this.#running.add(settled);
  }

  /** Resolves once nothing runs any more, what was begun meanwhile included. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all([...this.#running]);
  }
}
