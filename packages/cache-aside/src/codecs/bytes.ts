import type { BinaryCodec } from './codec.ts';
import { refusal } from './refusal.ts';

/** Buffers, and other `Uint8Array`s, as they are. They come back as Buffers. */
export const bytes: BinaryCodec = {
  name: 'bytes',
  binary: true,
  encode: (value, key) => {
    if (!(value instanceof Uint8Array))
      throw refusal('bytes', key, 'it is no Buffer or Uint8Array');
    return value;
  },
  decode: (stored) => ownBuffer(stored),
};

/** A copy in memory of its own, so that it keeps no larger chunk or pool alive and shares none. */
export function ownBuffer(source: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(source.length);
  copy.set(source);
  return copy;
}
