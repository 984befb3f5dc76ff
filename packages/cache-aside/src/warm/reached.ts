/** A batch under way. */
interface Running {
  /** The last key of it and of those behind it that have finished already. */
  lastKey: string;
}

/**
 * How far a source has been worked through without a gap, while its batches finish in any order. As
 * large as there are batches under way: what has finished behind one of them is remembered with it.
 */
export class Reached {
  /** In the order of the source. */
  readonly #running: Running[] = [];
  #lastKey: string | undefined;

  /** Every key up to this one has been done. */
  get lastKey(): string | undefined {
    return this.#lastKey;
  }

  /** A batch begins, behind all that have begun. Answers what is to be called when it has finished. */
  begin(lastKey: string): () => void {
    const batch: Running = { lastKey };
    this.#running.push(batch);
    return () => {
      const place = this.#running.indexOf(batch);
      const before = this.#running[place - 1];
      if (before === undefined) this.#lastKey = batch.lastKey;
      else before.lastKey = batch.lastKey;
      this.#running.splice(place, 1);
    };
  }
}
