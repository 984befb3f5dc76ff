import type { SourceKey } from './key-source.ts';

/** A batch under way. */
interface Running {
  /** The last key of it and of those behind it that have finished already. */
  last: SourceKey;
}

/**
 * How far a source has been worked through without a gap, while its batches finish in any order. As
 * large as there are batches under way: what has finished behind one of them is remembered with it.
 */
export class Reached {
  /** In the order of the source. */
  readonly #running: Running[] = [];
  #last: SourceKey | undefined;

  /** Every key up to this one has been done. */
  get last(): SourceKey | undefined {
    return this.#last;
  }

  /** A batch begins, behind all that have begun. Answers what is to be called when it has finished. */
  begin(last: SourceKey): () => void {
    const batch: Running = { last };
    this.#running.push(batch);
    return () => {
      const place = this.#running.indexOf(batch);
      const before = this.#running[place - 1];
      if (before === undefined) this.#last = batch.last;
      else before.last = batch.last;
      this.#running.splice(place, 1);
    };
  }
}
