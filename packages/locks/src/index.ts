export type { LockChannels, WokenBy } from './channels.ts';
export type { TrackingMode } from './connections.ts';
export { AcquireTimeoutError, LockLostError, type LossReason } from './errors.ts';
export type { LocalView, LockView } from './inspection.ts';
export type { Lock } from './lock.ts';
export type { LockSet } from './lock-set.ts';
export { type Body, createLocks, type Locks } from './locks.ts';
export {
  type AcquireOptions,
  type HandoffOptions,
  type LockPreset,
  type LocksOptions,
  lockPresets,
  type RetryOptions,
  type TryAcquireOptions,
} from './options.ts';
export type { LocksStats, TimeStats } from './tally.ts';
