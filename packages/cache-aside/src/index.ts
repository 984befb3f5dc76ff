export type { TimeStats } from '@redcache/core/toolkit';
export { Cache, createCache, type Found, type Peeked } from './cache.ts';
export type { CacheChannels } from './channels.ts';
export type { BinaryCodec, Codec, TextCodec } from './codecs/codec.ts';
export type { CodecOption } from './codecs/named.ts';
export type { CompressionAlgorithm, CompressOptions } from './compression.ts';
export { BatchError, CodecError, LoadTimeoutError, SchemaError } from './errors.ts';
export type { Freeze } from './freeze.ts';
export type { Instrument, LoadCause, LoadFacts, LoadOutcome, WaitFacts } from './instruments.ts';
export type {
  CacheOptions,
  CacheTimeoutOptions,
  GetOptions,
  SetOptions,
  Tags,
} from './options.ts';
export type { PolicyOptions, TimeoutOptions } from './policy.ts';
export type { Source } from './read/answer.ts';
export type { LoadContext, Loader, LoadMany, Loads } from './read/loader.ts';
export type { Schema } from './schema.ts';
export type { CacheAsideStats } from './stats.ts';
