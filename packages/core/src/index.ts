export { attach } from './attach.ts';
export type { CoreChannels, FlushCause } from './channels.ts';
export { type Clock, systemClock, type Timer } from './clock.ts';
export type { Duration } from './duration.ts';
export {
  ClosedError,
  ConfigError,
  type ErrorCode,
  type ErrorDetails,
  isRedcacheError,
  OutcomeUnknownError,
  RedcacheError,
  UnavailableError,
} from './errors.ts';
export type { CommandPort, Connection, TrackingPort } from './ports.ts';
export type { CacheStats } from './stats.ts';
export type { Entry } from './store/entry.ts';
export type { Guard, OnBroken } from './store/guard.ts';
export type { EvictionCause } from './store/lru.ts';
export type { InvalidationListener, WakeCause } from './tracking/hub.ts';
export { decodePush, type Invalidation } from './tracking/invalidation.ts';
export type { TrackingEvent, TrackingState } from './tracking/state.ts';
export {
  createTrackingCache,
  type Fence,
  type Fetched,
  type Filling,
  type Remaining,
  TrackingCache,
  type TrackingCacheOptions,
} from './tracking-cache.ts';
