export { Cache, createCache, type Peeked } from './cache.ts';
export type { CacheChannels } from './channels.ts';
export { BatchError, CodecError, LoadTimeoutError } from './errors.ts';
export type { Freeze } from './freeze.ts';
export type {
  CacheOptions,
  GetOptions,
  PolicyOptions,
  SetOptions,
  TimeoutOptions,
} from './options.ts';
export type { LoadContext, Loader, LoadMany, Loads } from './read/loader.ts';
export type { CacheAsideStats } from './stats.ts';
