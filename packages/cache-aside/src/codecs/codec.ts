/**
 * What a value becomes in Redis, and back. Its name stands beside each value, so that a reader with
 * another codec takes it for absent instead of misreading it: change the name whenever what is
 * written changes. Lower-case letters, digits, `.`, `_` and `-`, up to 32 of them.
 *
 * `encode` throws for a value that would come back as something else; what it throws reaches the
 * caller who stored it, as a `CodecError`. `decode` throws for what it cannot read, which then counts
 * as absent. It answers a new tree of values each time, without cycles, and never `undefined`.
 */
export type Codec = TextCodec | BinaryCodec;

export interface TextCodec {
  readonly name: string;
  readonly binary: false;
  /** Well-formed text: half a surrogate pair would not survive UTF-8. */
  encode(value: unknown, key: string): string;
  decode(text: string): unknown;
}

export interface BinaryCodec {
  readonly name: string;
  readonly binary: true;
  encode(value: unknown, key: string): Uint8Array;
  /** `bytes` lie in the middle of what was received: copy what you keep of them. */
  decode(bytes: Buffer): unknown;
}
