export type { TimeStats } from '@redcache/core/toolkit';
export { Cache, createCache } from './cache.ts';
export type { CacheChannels } from './channels.ts';
export type { BinaryCodec, Codec, TextCodec } from './codecs/codec.ts';
export type { CodecOption } from './codecs/named.ts';
export type { CompressionAlgorithm, CompressOptions } from './compression.ts';
export { BatchError, CodecError, LoadTimeoutError, SchemaError, WarmError } from './errors.ts';
export type { Family } from './family/family.ts';
export type {
  FamilyOptions,
  FamilyRules,
  KeyNeeded,
  LoadById,
  LoadByIds,
  LoadsById,
  PlainId,
  SchemaFamilyOptions,
  WriteById,
  WriteByIds,
  WriteByIdsContext,
} from './family/family-options.ts';
export type { Found, Peeked } from './found.ts';
export type { Freeze } from './freeze.ts';
export type { Instrument, LoadCause, LoadFacts, LoadOutcome, WaitFacts } from './instruments.ts';
export type {
  CacheOptions,
  CacheTimeoutOptions,
  GetOptions,
  SetOptions,
  Tags,
  WriteOptions,
} from './options.ts';
export type { PolicyOptions, TimeoutOptions } from './policy.ts';
export type { Source } from './read/answer.ts';
export type { LoadContext, Loader, LoadMany, Loads } from './read/loader.ts';
export type { Schema, SchemaInput, SchemaOutput } from './schema.ts';
export type { CacheAsideStats, FamilyStats } from './stats.ts';
export type { Ids, Keys } from './warm/key-source.ts';
export type { FamilyWarmOptions, WarmOptions } from './warm/options.ts';
export type { FamilyWarmProgress, OnProgress, WarmProgress } from './warm/progress.ts';
export type {
  ManyWriter,
  ValueWriter,
  WriteContext,
  WriteManyContext,
} from './write/write-through.ts';
