import type { Desk } from '../desk.ts';
import { type LocalView, localView } from '../inspection.ts';
import type { Access } from '../options.ts';
import { type Kind, readMember } from './kind.ts';
import type { CountedInspected } from './scripts/inspect.ts';

/** A lock that several may hold, as it is just now: in Redis, and in this process. */
export interface CountedView {
  readonly key: string;
  /** How many hold it in Redis; each lease counts once, however many callers share it. */
  readonly holding: number;
  /** Those of them whose leases end first, at most 100. One of a second may be an offer. */
  readonly holders: readonly {
    readonly holder: string;
    /** Of a semaphore always 'read': beside others. */
    readonly access: Access;
    /** By the server. */
    readonly remainingMs: number;
    readonly isOurs: boolean;
  }[];
  /** How many wait in the queue in Redis. */
  readonly waitingProcesses: number;
  /** The first of them, at most 100, in the order of the queue. */
  readonly waiting: readonly {
    readonly holder: string;
    readonly access: Access;
    readonly waitedMs: number;
  }[];
  readonly local: LocalView;
}

/** A gate of another kind is no lock of this one. */
export function countedView(
  { key, kind }: { readonly key: string; readonly kind: Kind },
  seen: CountedInspected,
  desk: Desk | undefined,
  nowMs: number,
): CountedView {
  const local = localView(desk, nowMs);
  const isOurs = (holder: string): boolean => local.leases.some((lease) => lease.holder === holder);
  const isOther = seen.kind !== undefined && seen.kind !== kind.name;
  const holders = (isOther ? [] : seen.firstHolding).map(([member, remainingMs]) => {
    const { holder, access } = readMember(member);
    return { holder, access, remainingMs, isOurs: isOurs(holder) };
  });
  const waiting = (isOther ? [] : seen.firstWaiting).map(([member, waitedUs]) => ({
    ...readMember(member),
    waitedMs: waitedUs / 1_000,
  }));
  return {
    ...{ key, holders, waiting, local },
    holding: isOther ? 0 : seen.holding,
    waitingProcesses: isOther ? 0 : seen.waiting,
  };
}
