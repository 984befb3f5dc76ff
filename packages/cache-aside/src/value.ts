import { decodeJson, encodeJson } from './codec.ts';
import { absentEnvelope, readEnvelope, type Stored, valueEnvelope } from './envelope.ts';
import { deepFreeze, type Freeze } from './freeze.ts';

/** What a text in Redis means, its value decoded. */
export type Decoded =
  | { readonly is: 'value'; readonly value: unknown; readonly bytes: number }
  | { readonly is: 'absent' }
  | { readonly is: 'loading' }
  | { readonly is: 'unreadable'; readonly reason: unknown };

/** What to write for a value, and what every process will read back for it. */
export interface Encoded {
  readonly kind: 'present' | 'negative';
  readonly envelope: string;
  readonly value: unknown;
  readonly bytes: number;
}

/** From values to what stands in Redis and back, by one codec. */
export class ValueFormat {
  readonly #freeze: Freeze;

  constructor(freeze: Freeze) {
    this.#freeze = freeze;
  }

  /**
   * `undefined` becomes "known to be absent". The value answered is the one that comes back from
   * Redis, so that the loading caller gets what everyone else will get.
   *
   * Throws: `CodecError` with the path of what cannot be stored.
   */
  encode(value: unknown, key: string, loadMs: number): Encoded {
    if (value === undefined)
      return { kind: 'negative', envelope: absentEnvelope(loadMs), value: undefined, bytes: 0 };
    const text = encodeJson(value, key);
    return {
      kind: 'present',
      envelope: valueEnvelope(text, loadMs),
      value: this.#decode(text),
      bytes: Buffer.byteLength(text),
    };
  }

  decode(text: string): Decoded {
    const stored: Stored = readEnvelope(text);
    switch (stored.is) {
      case 'value':
        try {
          const value = this.#decode(stored.encoded);
          return { is: 'value', value, bytes: Buffer.byteLength(stored.encoded) };
        } catch (reason) {
          return { is: 'unreadable', reason };
        }
      case 'unreadable':
        return { is: 'unreadable', reason: 'it was not written by this version of redcache' };
      default:
        return stored;
    }
  }

  /** What a caller gets of the copy that is kept here. */
  handOut(value: unknown): unknown {
    return this.#freeze === 'clone' ? structuredClone(value) : value;
  }

  #decode(text: string): unknown {
    const value = decodeJson(text);
    return this.#freeze === true ? deepFreeze(value) : value;
  }
}
