import { isUtf8 } from 'node:buffer';
import type { Codec } from './codecs/codec.ts';
import { json } from './codecs/json.ts';
import { refusal } from './codecs/refusal.ts';
import {
  type Awaitable,
  type Compression,
  compress,
  decompress,
  MAX_RAW_BYTES,
} from './compression.ts';
import {
  absentEnvelope,
  type Compressed,
  type Facts,
  FOREIGN_HEADER,
  type Header,
  headerOf,
  readEnvelope,
  valueHead,
} from './envelope.ts';
import { CodecError } from './errors.ts';
import { copyOf, deepFreeze, type Freeze } from './freeze.ts';
import { type Schema, validate } from './schema.ts';

/**
 * What stands in Redis means, its value decoded. `value` is what is kept here: callers get it through
 * {@link ValueFormat.handOut}. `bytes`: of the encoded value, not compressed.
 */
export type Decoded =
  | {
      readonly is: 'value';
      readonly value: unknown;
      readonly bytes: number;
      readonly header: Header;
    }
  | { readonly is: 'absent'; readonly header: Header }
  | { readonly is: 'loading'; readonly holder: string }
  | { readonly is: 'writing' }
  /** `asBytes`: it was read as text, and might well be readable as bytes. */
  | { readonly is: 'unreadable'; readonly reason: unknown; readonly asBytes?: true };

/** What to write for a value, and what every process will read back for it. */
export interface Encoded {
  readonly kind: 'present' | 'negative';
  readonly envelope: string | Buffer;
  readonly value: unknown;
  readonly bytes: number;
  readonly header: Header;
}

export interface FormatOptions {
  readonly freeze: Freeze;
  readonly codec?: Codec | undefined;
  readonly compress?: Compression | undefined;
  /**
   * What a value is that another program wrote, without a header of ours: nothing, or what the codec
   * makes of all of it.
   */
  readonly foreign?: 'absent' | 'raw' | undefined;
  /**
   * What values must be like. Redis holds them as the loader answered them; callers get what the
   * schema makes of them.
   */
  readonly schema?: Schema | undefined;
}

/**
 * From values to what stands in Redis and back, by one codec.
 *
 * It answers at once as long as the value is small or not compressed, and the schema does; otherwise
 * a promise, so that a large value does not hold up the event loop.
 */
export class ValueFormat {
  readonly #codec: Codec;
  readonly #compress: Compression | undefined;
  readonly #foreign: 'absent' | 'raw';
  readonly #freeze: Freeze;
  readonly #schema: Schema | undefined;
  /** Whether each copy that was made here so far may be handed to all. */
  #sharesAll: boolean;

  constructor({ freeze, codec = json, compress, foreign = 'absent', schema }: FormatOptions) {
    this.#freeze = freeze;
    this.#codec = codec;
    this.#compress = compress;
    this.#foreign = foreign;
    this.#schema = schema;
    this.#sharesAll = freeze !== 'clone';
  }

  /**
   * Whether values are to be read as bytes. The client decodes text about a third faster, so that
   * those who only write text should read it as such.
   */
  get readsBytes(): boolean {
    return this.#codec.binary || this.#compress !== undefined;
  }

  /** Whether a value without a header of ours is one. */
  get readsForeign(): boolean {
    return this.#foreign === 'raw';
  }

  /**
   * `undefined` becomes "known to be absent". The value answered is the one that comes back from
   * Redis, so that the loading caller gets what everyone else will get.
   *
   * Throws or rejects: `CodecError` with the path of what cannot be stored; `SchemaError`; what the
   * schema itself throws.
   */
  encode(value: unknown, key: string, facts: Facts): Awaitable<Encoded> {
    const header = headerOf(facts);
    if (value === undefined)
      return { kind: 'negative', envelope: absentEnvelope(header), value, bytes: 0, header };
    const encoded = this.#encode(value, key);
    const bytes = byteLength(encoded);
    // First, since it copies what is the caller's and may change once we have answered.
    const envelope = this.#envelope(encoded, bytes, header, key);
    const read = orElse(
      () => this.#readBack(encoded, key),
      () => envelope instanceof Promise && envelope.catch(() => {}),
    );
    const done = (kept: unknown, written: string | Buffer): Encoded => ({
      kind: 'present',
      envelope: written,
      value: kept,
      bytes,
      header,
    });
    if (!(read instanceof Promise) && !(envelope instanceof Promise)) return done(read, envelope);
    return Promise.all([read, envelope]).then(([kept, written]) => done(kept, written));
  }

  /**
   * Never throws and never rejects. Of a binary or compressed value text is not enough, and the answer
   * says so: a reader of text meets one when another process compresses and it does not.
   */
  decode(stored: string | Buffer, key: string): Awaitable<Decoded> {
    const found = readEnvelope(stored);
    switch (found.is) {
      case 'value':
        if (found.codec !== this.#codec.name)
          return unreadable(`codec '${found.codec}' wrote it, which is not the one in use`);
        if (found.compressed !== undefined)
          return this.#decompressed(stored, found.bodyAt, found.compressed, found.header, key);
        return this.#decodeBody(stored, found.bodyAt, found.header, key);
      case 'foreign':
        if (this.#foreign === 'absent') return unreadable('another program wrote it');
        if (!this.#codec.binary && typeof stored !== 'string' && !isUtf8(stored))
          return unreadable('another program wrote it, and it is no text');
        return this.#decodeBody(stored, 0, FOREIGN_HEADER, key);
      default:
        return found;
    }
  }

  /** What a caller gets of the copy that is kept here. */
  handOut(value: unknown): unknown {
    return this.#sharesAll ? value : this.#handOutCopy(value);
  }

  #handOutCopy(value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value;
    if (this.#freeze === 'clone') return copyOf(value, 'copied');
    // What could not be frozen can still be extended.
    return Object.isExtensible(value) ? copyOf(value, 'shared') : value;
  }

  #encode(value: unknown, key: string): string | Uint8Array {
    const codec = this.#codec;
    let encoded: unknown;
    try {
      encoded = codec.encode(value, key);
    } catch (error) {
      throw error instanceof CodecError ? error : refusal(codec.name, key, 'it failed', error);
    }
    if (codec.binary ? !(encoded instanceof Uint8Array) : typeof encoded !== 'string')
      throw refusal(codec.name, key, `the codec answered no ${codec.binary ? 'bytes' : 'text'}`);
    // JSON escapes what is not well-formed, so it need not be looked through.
    if (typeof encoded === 'string' && codec !== json && !encoded.isWellFormed())
      throw refusal(codec.name, key, 'it has half a surrogate pair');
    return encoded as string | Uint8Array;
  }

  /** What everyone will read, which has to be right before it is written. */
  #readBack(encoded: string | Uint8Array, key: string): unknown {
    let value: unknown;
    try {
      value = this.#codec.binary
        ? this.#codec.decode(asBuffer(encoded as Uint8Array))
        : this.#codec.decode(encoded as string);
      if (value === undefined) throw new Error('the codec answered undefined');
      if (this.#schema === undefined) return this.#kept(value);
    } catch (error) {
      throw refusal(this.#codec.name, key, 'it does not come back', error);
    }
    const validated = validate(this.#schema, value, key);
    const accept = (judged: Awaited<typeof validated>): unknown => {
      if (judged.ok) return this.#kept(judged.value);
      throw judged.error;
    };
    return validated instanceof Promise ? validated.then(accept) : accept(validated);
  }

  #envelope(
    encoded: string | Uint8Array,
    bytes: number,
    header: Header,
    key: string,
  ): Awaitable<string | Buffer> {
    const { name } = this.#codec;
    const compression = this.#compress;
    if (compression === undefined || bytes <= compression.aboveBytes || bytes > MAX_RAW_BYTES)
      return withHead(valueHead(header, name), encoded);
    const { algorithm } = compression;
    // A copy, since the bytes are the caller's, who may change them while another thread reads them.
    const raw = Buffer.from(encoded as Uint8Array);
    const shorter = (packed: Buffer): string | Buffer =>
      packed.length < bytes
        ? withHead(valueHead(header, name, { algorithm, rawBytes: bytes }), packed)
        : withHead(valueHead(header, name), typeof encoded === 'string' ? encoded : raw);
    const packed = compress(algorithm, raw);
    if (!(packed instanceof Promise)) return shorter(packed);
    return packed.then(shorter, (error) => {
      throw refusal(name, key, 'it could not be compressed', error);
    });
  }

  #decompressed(
    stored: string | Buffer,
    bodyAt: number,
    { algorithm, rawBytes }: Compressed,
    header: Header,
    key: string,
  ): Awaitable<Decoded> {
    if (typeof stored === 'string') return READ_AS_TEXT;
    try {
      const raw = decompress(algorithm, stored.subarray(bodyAt), rawBytes);
      return raw instanceof Promise
        ? raw.then((bytes) => this.#decodeBody(bytes, 0, header, key), unreadable)
        : this.#decodeBody(raw, 0, header, key);
    } catch (reason) {
      return unreadable(reason);
    }
  }

  #decodeBody(
    stored: string | Buffer,
    bodyAt: number,
    header: Header,
    key: string,
  ): Awaitable<Decoded> {
    try {
      const codec = this.#codec;
      let value: unknown;
      let bytes: number;
      if (typeof stored !== 'string') {
        bytes = stored.length - bodyAt;
        value = codec.binary
          ? codec.decode(stored.subarray(bodyAt))
          : codec.decode(stored.toString('utf8', bodyAt));
      } else if (codec.binary) return READ_AS_TEXT;
      else {
        const body = stored.slice(bodyAt);
        bytes = Buffer.byteLength(body);
        value = codec.decode(body);
      }
      if (value === undefined) return unreadable('the codec answered undefined');
      if (this.#schema === undefined)
        return { is: 'value', value: this.#kept(value), bytes, header };
      const validated = validate(this.#schema, value, key);
      const accept = (judged: Awaited<typeof validated>): Decoded =>
        judged.ok
          ? { is: 'value', value: this.#kept(judged.value), bytes, header }
          : unreadable(judged.error);
      return validated instanceof Promise
        ? validated.then(accept).catch(unreadable)
        : accept(validated);
    } catch (reason) {
      return unreadable(reason);
    }
  }

  #kept(value: unknown): unknown {
    if (this.#freeze === true && !deepFreeze(value)) this.#sharesAll = false;
    return value;
  }
}

/** What `act` answers; if it throws, `giveUp` is called before that goes on. */
function orElse<T>(act: () => T, giveUp: () => void): T {
  try {
    return act();
  } catch (error) {
    giveUp();
    throw error;
  }
}

const READ_AS_TEXT: Decoded = {
  is: 'unreadable',
  reason: 'its bytes were read as text',
  asBytes: true,
};

function unreadable(reason: unknown): Decoded {
  return { is: 'unreadable', reason };
}

function byteLength(encoded: string | Uint8Array): number {
  return typeof encoded === 'string' ? Buffer.byteLength(encoded) : encoded.length;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function withHead(head: string, encoded: string | Uint8Array): string | Buffer {
  return typeof encoded === 'string' ? head + encoded : Buffer.concat([Buffer.from(head), encoded]);
}
