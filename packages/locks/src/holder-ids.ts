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

/** Of a UUID as text. */
const HYPHENS = [8, 13, 18, 23];
const HYPHEN = 0x2d;
const DIGITS = Buffer.from('0123456789abcdef');
const text = Buffer.alloc(36, HYPHEN);

/**
 * The id of a new holder: a UUIDv7.
 *
 * Written in one piece: put together digit by digit it is a rope of as many strings until it is sent.
 */
export function newHolder(): string {
  let at = 0;
  for (const byte of ids.generate().bytes) {
    if (HYPHENS.includes(at)) at += 1;
    text[at] = DIGITS[byte >> 4] as number;
    text[at + 1] = DIGITS[byte & 15] as number;
    at += 2;
  }
  return text.toString('latin1');
}
