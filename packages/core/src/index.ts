export { type Attachment, attach } from './attach.ts';
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
export type { Fetched, Filling, Remaining } from './flight/fetched.ts';
export type { Leading } from './flight/load.ts';
export type {
  Argument,
  CommandPort,
  Connection,
  SendOptions,
  TrackingPort,
} from './ports.ts';
export type { CacheStats } from './stats.ts';
export type { Entry } from './store/entry.ts';
export type { BreakListener, Guard, OnBroken } from './store/guard.ts';
export type { EvictionPolicy, PolicyName, Ranked } from './store/policy.ts';
export type { Source } from './store/source.ts';
export type { EvictionCause } from './store/store.ts';
export type { InvalidationListener, WakeCause } from './tracking/hub.ts';
export { decodePush, type Invalidation } from './tracking/invalidation.ts';
export type { TrackingMode, TrackingOptions, TrackingRules } from './tracking/options.ts';
export type { TrackingSession } from './tracking/session.ts';
export type { TrackingEvent, TrackingState } from './tracking/state.ts';
export {
  createTrackingCache,
  type Fence,
  type ReadOptions,
  TrackingCache,
} from './tracking-cache.ts';
export type { PolicyChoice, TrackingCacheOptions } from './tracking-cache-options.ts';
