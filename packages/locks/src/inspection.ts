import type { Desk } from './desk.ts';
import { readLockValue } from './lock-value.ts';
import type { Inspected } from './scripts/inspect.ts';

/** A lock as it is just now: in Redis, and in this process. */
export interface LockView {
  readonly key: string;
  /** Whose lease stands in Redis; `null` if the lock is free. */
  readonly holder: {
    readonly holder: string;
    /** The first token of the lease; 0n while the lock is on offer to a process that waited for it. */
    readonly fencingToken: bigint;
    /** By the server; `Infinity` if somebody took its end away. */
    readonly remainingMs: number;
    readonly isOurs: boolean;
  } | null;
  /** How many processes wait in the queue in Redis. */
  readonly waitingProcesses: number;
  /** The first of them, in the order of the queue. */
  readonly waiting: readonly { readonly holder: string; readonly waitedMs: number }[];
  readonly local: LocalView;
}

/** What one process knows of a lock by itself. */
export interface LocalView {
  /** The leases that it holds in Redis, and who uses each: one for a plain lock. */
  readonly leases: readonly {
    readonly holder: string;
    /** How long it can be relied on if nobody extends it. */
    readonly remainingMs: number;
    /** How long the process has held it. */
    readonly heldMs: number;
    /** How many callers have had it so far. */
    readonly passes: number;
    /** Whether other processes wait, as far as this one has heard. */
    readonly isContended: boolean;
    readonly locks: readonly { readonly fencingToken: bigint; readonly heldMs: number }[];
  }[];
  /** Its callers that wait, in their order. */
  readonly waiting: readonly { readonly waitedMs: number }[];
}

export function localView(desk: Desk | undefined, nowMs: number): LocalView {
  if (desk === undefined) return { leases: [], waiting: [] };
  return {
    leases: desk.tenures.map(({ bid, lease, sinceMs, passes, users }) => ({
      holder: bid.holder,
      remainingMs: lease.remainingMs(),
      heldMs: nowMs - sinceMs,
      passes,
      isContended: bid.contended,
      locks: [...users].map((lock) => ({
        fencingToken: lock.fencingToken,
        heldMs: nowMs - lock.sinceMs,
      })),
    })),
    waiting: desk.waiting.map(({ sinceMs }) => ({ waitedMs: nowMs - sinceMs })),
  };
}

export function lockView(key: string, seen: Inspected, local: LocalView): LockView {
  // Text without end that no lock wrote is nobody's, and in the way all the same.
  const { holder, token } = readLockValue(seen.value) ?? { holder: '', token: 0n };
  return {
    key,
    holder:
      seen.value === undefined
        ? null
        : {
            holder,
            fencingToken: token,
            remainingMs: seen.remainingMs,
            isOurs: local.leases.some((lease) => lease.holder === holder),
          },
    waitingProcesses: seen.waiting,
    waiting: seen.first,
    local,
  };
}
