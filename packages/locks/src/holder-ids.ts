import { randomFillSync } from 'node:crypto';
import { V7Generator } from 'uuidv7';

/** Asked for at a time: the system is not called for each id. */
const NUMBERS_KEPT = 1_024;

class KeptNumbers {
  readonly #numbers = new Uint32Array(NUMBERS_KEPT);
  #next = NUMBERS_KEPT;

  nextUint32(): number {
    if (this.#next === NUMBERS_KEPT) {
      randomFillSync(this.#numbers);
      this.#next = 0;
    }
    const number = this.#numbers[this.#next] as number;
    this.#next += 1;
    return number;
  }
}

const ids = new V7Generator(new KeptNumbers());

/** The id of a new holder: a UUIDv7. */
export const newHolder = (): string => ids.generate().toString();
