import { publisher } from '@redcache/core/toolkit';
import type { LossReason } from './errors.ts';

/** Why a waiter tries again. `poll`: nobody would have told it. */
export type WokenBy = 'push' | 'timer' | 'flush' | 'disconnect' | 'poll';

/** What the locks report on `node:diagnostics_channel`. `key` is the lock as its users call it. */
export interface LockChannels {
  /** `waitedMs`: from the call to the lock. */
  'redcache:lock:acquired': {
    readonly key: string;
    readonly holder: string;
    readonly fencingToken: bigint;
    readonly waitedMs: number;
  };
  /** To Redis or to the next caller of this process. */
  'redcache:lock:released': {
    readonly key: string;
    readonly holder: string;
    readonly fencingToken: bigint;
    readonly heldMs: number;
  };
  'redcache:lock:lost': {
    readonly key: string;
    readonly holder: string;
    readonly fencingToken: bigint;
    readonly reason: LossReason;
  };
  /** A caller of `acquire` found the lock taken and begins to wait; told once for each call. */
  'redcache:lock:waiting': { readonly key: string };
  /** This process, which waits for others, tries again for the first of its callers. */
  'redcache:lock:woken': {
    readonly key: string;
    readonly holder: string;
    readonly cause: WokenBy;
  };
  /** A lock could not be given back at once; it is tried again until the lease has ended. */
  'redcache:lock:release-failed': {
    readonly key: string;
    readonly holder: string;
    readonly error: unknown;
  };
}

export const publish: ReturnType<typeof publisher<LockChannels>> = publisher<LockChannels>();
