import * as zlib from 'node:zlib';
import { ConfigError } from '@redcache/core';
import { count, type OptionReader, oneOf, optional, readOptions } from '@redcache/core/toolkit';

export type CompressionAlgorithm = 'brotli' | 'gzip' | 'deflate' | 'zstd';

export interface CompressOptions {
  /** Values of more bytes than this, encoded, are compressed. */
  readonly above: number;
  /** Default `'brotli'`. `'zstd'` needs Node.js 22.15 or newer, wherever such a value is read. */
  readonly algorithm?: CompressionAlgorithm;
}

/** What was not done at once because it would keep the event loop from everything else. */
export type Awaitable<T> = T | Promise<T>;

/**
 * Nothing larger is compressed, and nothing that says it is will be decompressed: what stands in
 * Redis can't make a reader fill its memory.
 */
export const MAX_RAW_BYTES: number = 64 * 2 ** 20;

/** Up to these sizes one call takes some tenths of a millisecond, about as much as it costs to hand it to another thread. */
const COMPRESSED_AT_ONCE_BYTES = 32 * 2 ** 10;
const DECOMPRESSED_AT_ONCE_BYTES = 128 * 2 ** 10;

interface Limits {
  readonly maxOutputLength: number;
}
type Done = (error: Error | null, result: Buffer) => void;

interface Method {
  readonly pack: (raw: Uint8Array) => Buffer;
  readonly packLater: (raw: Uint8Array, done: Done) => void;
  readonly unpack: (packed: Uint8Array, limits: Limits) => Buffer;
  readonly unpackLater: (packed: Uint8Array, limits: Limits, done: Done) => void;
}

const METHODS: Readonly<Record<CompressionAlgorithm, Method | undefined>> = {
  brotli: {
    pack: (raw) => zlib.brotliCompressSync(raw, brotliOptions(raw)),
    packLater: (raw, done) => zlib.brotliCompress(raw, brotliOptions(raw), done),
    unpack: zlib.brotliDecompressSync,
    unpackLater: zlib.brotliDecompress,
  },
  gzip: {
    pack: zlib.gzipSync,
    packLater: zlib.gzip,
    unpack: zlib.gunzipSync,
    unpackLater: zlib.gunzip,
  },
  deflate: {
    pack: zlib.deflateSync,
    packLater: zlib.deflate,
    unpack: zlib.inflateSync,
    unpackLater: zlib.inflate,
  },
  zstd: zstdOfThisNode(),
};

/** At its default quality of 11 it takes fifty times as long. */
const BROTLI_QUALITY = 4;

function brotliOptions(raw: Uint8Array): zlib.BrotliOptions {
  const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT } = zlib.constants;
  const params = { [BROTLI_PARAM_QUALITY]: BROTLI_QUALITY, [BROTLI_PARAM_SIZE_HINT]: raw.length };
  return { params };
}

/** The types are those of the oldest Node.js that is supported, which has none. */
interface Zstd {
  readonly zstdCompressSync: Method['pack'];
  readonly zstdCompress: Method['packLater'];
  readonly zstdDecompressSync: Method['unpack'];
  readonly zstdDecompress: Method['unpackLater'];
}

function zstdOfThisNode(): Method | undefined {
  const { zstdCompressSync, zstdCompress, zstdDecompressSync, zstdDecompress } =
    zlib as unknown as Partial<Zstd>;
  if (!zstdCompressSync || !zstdCompress || !zstdDecompressSync || !zstdDecompress)
    return undefined;
  return {
    pack: zstdCompressSync,
    packLater: zstdCompress,
    unpack: zstdDecompressSync,
    unpackLater: zstdDecompress,
  };
}

/** Answers at once for what is small, and a promise for what is not. */
export function compress(algorithm: CompressionAlgorithm, raw: Uint8Array): Awaitable<Buffer> {
  const { pack, packLater } = METHODS[algorithm] as Method;
  if (raw.length <= COMPRESSED_AT_ONCE_BYTES) return pack(raw);
  return settled((done) => packLater(raw, done));
}

/**
 * Answers `rawBytes` bytes, at once if they are few, or throws or rejects: never more of them, and
 * never less.
 */
export function decompress(
  algorithm: string,
  packed: Uint8Array,
  rawBytes: number,
): Awaitable<Buffer> {
  const method = Object.hasOwn(METHODS, algorithm)
    ? METHODS[algorithm as CompressionAlgorithm]
    : undefined;
  if (method === undefined) throw new Error(`this Node.js cannot decompress '${algorithm}'`);
  if (rawBytes > MAX_RAW_BYTES) throw new Error(`it says that it holds ${rawBytes} bytes`);
  const checked = (raw: Buffer): Buffer => {
    if (raw.length === rawBytes) return raw;
    throw new Error(`it says that it holds ${rawBytes} bytes, but holds ${raw.length}`);
  };
  // Zero is no limit for zlib.
  const limits = { maxOutputLength: Math.max(rawBytes, 1) };
  if (rawBytes <= DECOMPRESSED_AT_ONCE_BYTES) return checked(method.unpack(packed, limits));
  return settled((done) => method.unpackLater(packed, limits, done)).then(checked);
}

function settled(start: (done: Done) => void): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    start((error, result) => (error === null ? resolve(result) : reject(error)));
  });
}

/** The option of a cache, all said. */
export interface Compression {
  readonly aboveBytes: number;
  readonly algorithm: CompressionAlgorithm;
}

export const compression: OptionReader<Compression | undefined> = (value, name) => {
  if (value === undefined) return undefined;
  const read = readOptions(name, value, {
    above: count,
    algorithm: optional(oneOf('brotli', 'gzip', 'deflate', 'zstd'), 'brotli'),
  });
  if (METHODS[read.algorithm] === undefined)
    throw new ConfigError(`${name}: algorithm '${read.algorithm}' is not in this Node.js`);
  return { aboveBytes: read.above, algorithm: read.algorithm };
};
