import type { Random } from './random.ts';

/**
 * Picks ranks the way people pick pages: rank `r` (from 0) is picked in proportion to
 * `1 / (r + 1) ** skew`. With 250 ranks and skew 1 the first gets 16 % of all picks.
 */
export class Zipf {
  /** How likely it is that a pick is this rank or a lower one; the last is 1. */
  readonly #upTo: Float64Array;

  constructor(ranks: number, skew: number) {
    const weights = Float64Array.from({ length: ranks }, (_, rank) => 1 / (rank + 1) ** skew);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    let sum = 0;
    this.#upTo = weights.map((weight) => {
      sum += weight;
      return sum / total;
    });
    this.#upTo[ranks - 1] = 1;
  }

  /** The first rank whose share of the range covers the random number. */
  pick(random: Random): number {
    const point = random();
    let low = 0;
    let high = this.#upTo.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#upTo[middle] as number) > point) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
