/** Who holds a lock, one after the other: how long it is nobody's in between. */
export class HandOvers {
  readonly #latenciesMs: number[] = [];
  #isHeld = false;
  #givenBackAtMs: number | undefined;

  /** From when one called release until the next ran, in order; one fewer than holders. */
  get latenciesMs(): readonly number[] {
    return this.#latenciesMs;
  }

  /** A holder runs. Throws: if another one does. */
  entered(atMs: number): void {
    if (this.#isHeld) throw new Error('two hold one lock at a time');
    this.#isHeld = true;
    if (this.#givenBackAtMs !== undefined) this.#latenciesMs.push(atMs - this.#givenBackAtMs);
  }

  /** The holder calls release now. */
  givingBack(atMs: number): void {
    this.#isHeld = false;
    this.#givenBackAtMs = atMs;
  }
}
