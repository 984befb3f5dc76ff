export type { TimeStats } from '@redcache/core/toolkit';
export type { Body } from './body.ts';
export type { LockChannels, WokenBy } from './channels.ts';
export type { TrackingMode } from './connections.ts';
export type { ReadWriteLock } from './counted/read-write.ts';
export type { Semaphore } from './counted/semaphore.ts';
export type { CountedView } from './counted/view.ts';
export {
  AcquireTimeoutError,
  LockLostError,
  type LossReason,
  QuorumError,
  type QuorumVote,
  TooManyWaitingError,
} from './errors.ts';
export type { LocalView, LockView } from './inspection.ts';
export type { Lock } from './lock.ts';
export type { LockSet } from './lock-set.ts';
export { createLocks, type Locks } from './locks.ts';
export {
  type Access,
  type AcquireOptions,
  type HandoffOptions,
  type IndependentServers,
  type LockPreset,
  type LocksOptions,
  type LocksRules,
  lockPresets,
  type OneDeployment,
  type RetryOptions,
  type TryAcquireOptions,
} from './options.ts';
export type { LocksStats } from './tally.ts';
