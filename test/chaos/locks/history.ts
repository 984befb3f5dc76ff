import type { Entry } from '../../children/lock-contender.ts';
import type { Call } from '../availability.ts';
import { type Fault, nsOf } from '../fault.ts';
import type { Arrival } from './register.ts';

/** One holding of a lock, as its holder has noted it. */
export interface Holding {
  readonly key: string;
  readonly token: bigint;
  /** The process, and the call in it. */
  readonly by: string;
  readonly call: string;
  readonly calledNs: bigint;
  readonly grantedNs: bigint;
  /** When it looked and found that it holds the lock; a release that found the lock its own is one. */
  readonly beliefsNs: readonly bigint[];
  /** Until when it was to hold the lock at least, as it saw at its last look. */
  readonly untilNs?: bigint;
  /** When it had found that the lock was lost. */
  readonly lostNs?: bigint;
}

/** A process asked Redis something over the connection of its locks. */
export interface Beat {
  readonly sentNs: bigint;
  readonly atNs: bigint;
  readonly answered: boolean;
}

/** A token that Redis has given out, to which holder. */
export interface Given {
  readonly key: string;
  readonly holder: string;
  readonly token: bigint;
}

/** All that is known of what has happened, on the clock that all share. */
export interface History {
  readonly startedNs: bigint;
  readonly endedNs: bigint;
  readonly keys: readonly string[];
  readonly faults: readonly Fault[];
  readonly holdings: readonly Holding[];
  readonly calls: readonly Call[];
  /** By process. */
  readonly beats: ReadonlyMap<string, readonly Beat[]>;
  /** In the order in which they came. */
  readonly arrivals: readonly Arrival[];
  /** In the order in which Redis gave them; empty where nobody could watch. */
  readonly given: readonly Given[];
  /** Processes that have ended by themselves. */
  readonly lost: readonly string[];
}

/** What one process has noted, put together. */
export function notesOf(
  by: string,
  entries: readonly Entry[],
): Pick<History, 'holdings' | 'calls'> & { readonly beats: readonly Beat[] } {
  const [calledNs, holdings] = [new Map<string, bigint>(), new Map<string, Holding>()];
  const [calls, beats]: [Call[], Beat[]] = [[], []];
  const note = (call: string, { beliefNs, ...more }: Note): void => {
    const holding = holdings.get(call);
    if (holding === undefined) return;
    const { beliefsNs } = holding;
    const all = beliefNs === undefined ? beliefsNs : [...beliefsNs, beliefNs];
    holdings.set(call, { ...holding, ...more, beliefsNs: all });
  };
  for (const entry of entries) {
    if (entry.is === 'beat') {
      beats.push(entry);
      continue;
    }
    const { key, call, atNs } = entry;
    const begunNs = calledNs.get(call) ?? atNs;
    switch (entry.is) {
      case 'called':
        calledNs.set(call, atNs);
        break;
      case 'granted': {
        const { token } = entry;
        const times = { calledNs: begunNs, grantedNs: atNs };
        holdings.set(call, { key, token, by, call, ...times, beliefsNs: [] });
        calls.push({ of: key, by, begunNs, endedNs: atNs, outcome: 'succeeded' });
        break;
      }
      case 'failed':
        calls.push({ of: key, by, begunNs, endedNs: atNs, outcome: { failedWith: entry.code } });
        break;
      case 'given up':
        calls.push({ of: key, by, begunNs, endedNs: atNs, outcome: 'given up' });
        break;
      case 'looked':
        note(call, { beliefNs: atNs, untilNs: atNs + nsOf(entry.remainingMs) });
        break;
      case 'lost':
        // A release tells it again.
        if (holdings.get(call)?.lostNs === undefined) note(call, { lostNs: atNs });
        break;
      case 'released':
        note(call, { beliefNs: atNs });
    }
  }
  return { holdings: [...holdings.values()], calls, beats };
}

interface Note extends Pick<Holding, 'untilNs' | 'lostNs'> {
  readonly beliefNs?: bigint;
}
