export type { LockChannels, WokenBy } from './channels.ts';
export type { TrackingMode } from './connections.ts';
export { AcquireTimeoutError, LockLostError, type LossReason } from './errors.ts';
export type { Lock } from './lock.ts';
export { type Body, createLocks, type Locks } from './locks.ts';
export type { AcquireOptions, LocksOptions, RetryOptions, TryAcquireOptions } from './options.ts';
