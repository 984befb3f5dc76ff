import type { TextCodec } from './codec.ts';
import { refusal } from './refusal.ts';

/** Strings as they are. */
export const text: TextCodec = {
  name: 'text',
  binary: false,
  encode: (value, key) => {
    if (typeof value !== 'string') throw refusal('text', key, 'it is no string');
    return value;
  },
  decode: (stored) => stored,
};
