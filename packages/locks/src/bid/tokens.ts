import type { TokenBlock } from '../scripts/answer.ts';

/** A release takes longer than as many microseconds, which is what tokens are. */
const FEW = 16;

/** Fencing tokens that Redis reserved for this process and nobody has been given yet. */
export class Tokens {
  // Below 2^53, as the scripts see to.
  #next = 0;
  #end = 0;
  #last = 0;

  get left(): number {
    return this.#end - this.#next;
  }

  /** Whether all that were reserved have been given to somebody. */
  get areUsedUp(): boolean {
    return this.#next >= this.#end;
  }

  /** The last that was given to somebody, if so many are left that Redis should know. */
  get lastOfManyLeft(): bigint | undefined {
    const isTold = this.#last > 0 && this.#end - this.#next > FEW;
    return isTold ? BigInt(this.#last) : undefined;
  }

  /** Those left of an earlier block are lower, and given to nobody any more. */
  add({ first, count }: TokenBlock): void {
    this.#next = Number(first);
    this.#end = this.#next + count;
  }

  /** The next one, if there is one left. */
  take(): bigint | undefined {
    if (this.#next >= this.#end) return undefined;
    this.#last = this.#next;
    this.#next += 1;
    return BigInt(this.#last);
  }
}
