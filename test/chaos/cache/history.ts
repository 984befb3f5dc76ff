import type { Ending, Entry, Row } from '../../children/cache-contender.ts';
import type { Call } from '../availability.ts';
import type { Fault } from '../fault.ts';
import type { Change } from './source-of-truth.ts';

/** A read of one key, also as one of many. */
export interface Read extends Call {
  /** The row that came, if one did. */
  readonly row: Row | undefined;
  /** Served from this process, without asking anybody. */
  readonly local: boolean;
}

/** A delete or write, with the change of the source that belongs to it. */
export interface Mutation extends Call {
  readonly how: 'deleted' | 'written';
  /** `undefined`: it had ended before the source was changed. */
  readonly version: number | undefined;
}

/** One run of a loader for one key. */
export interface Load {
  readonly key: string;
  readonly by: string;
  /** Of this run in its process; one run may be for several keys. */
  readonly load: number;
  readonly begunNs: bigint;
  /** It had the value or had failed; unknown if its process has ended before. */
  readonly endedNs: bigint | undefined;
  /** Nobody wanted its value any more, so that its lease was given back. */
  readonly unwantedNs: bigint | undefined;
  readonly leased: boolean;
  /** Its value was stored; unknown if its process has ended before. */
  readonly stored: boolean | undefined;
}

/** A process asked Redis something on the way that its reads take. */
export interface Beat {
  readonly sentNs: bigint;
  readonly atNs: bigint;
  readonly answered: boolean;
  /** Keys of whose last write it does not know what became. */
  readonly uncertain: number;
}

/** A call that never ended, in a process that lives. */
export interface Unsettled {
  readonly by: string;
  readonly what: string;
  readonly key: string;
  readonly atNs: bigint;
}

/** All that is known of what has happened, on the clock that all share. */
export interface History {
  readonly startedNs: bigint;
  readonly endedNs: bigint;
  readonly keys: readonly string[];
  readonly faults: readonly Fault[];
  /** Of the source, in their order. */
  readonly changes: readonly Change[];
  readonly reads: readonly Read[];
  readonly mutations: readonly Mutation[];
  readonly loads: readonly Load[];
  /** By process. */
  readonly beats: ReadonlyMap<string, readonly Beat[]>;
  readonly unsettled: readonly Unsettled[];
  /** Processes that have ended by themselves. */
  readonly lost: readonly string[];
}

type Notes = Pick<History, 'reads' | 'mutations' | 'loads' | 'unsettled'> & {
  readonly beats: readonly Beat[];
};

type Changing<T> = { -readonly [K in keyof T]: T[K] };

/** What one process has noted, put together. */
export function notesOf(by: string, entries: readonly Entry[]): Notes {
  const [reads, mutations, beats]: [Read[], Mutation[], Beat[]] = [[], [], []];
  const [loads, unsettled]: [Changing<Load>[], Unsettled[]] = [[], []];
  const running = new Map<number, readonly Changing<Load>[]>();
  const pending = new Map<string, Changing<Load>[]>();
  for (const entry of entries) {
    switch (entry.is) {
      case 'beat':
        beats.push(entry);
        break;
      case 'unsettled':
        unsettled.push({ by, ...entry });
        break;
      case 'read': {
        const { local, found } = entry;
        reads.push({ ...callOf(by, entry), local, row: found as Row | undefined });
        break;
      }
      case 'deleted':
      case 'written':
        mutations.push({ ...callOf(by, entry), how: entry.is, version: entry.version });
        break;
      case 'loading': {
        const { load, keys, leased, atNs } = entry;
        const times = { begunNs: atNs, endedNs: undefined, unwantedNs: undefined };
        const begun = keys.map((key) => ({ key, by, load, ...times, leased, stored: undefined }));
        running.set(load, begun);
        loads.push(...begun);
        for (const each of begun) pending.set(each.key, [...(pending.get(each.key) ?? []), each]);
        break;
      }
      case 'loaded':
        for (const load of running.get(entry.load) ?? []) load.endedNs = entry.atNs;
        break;
      case 'unwanted':
        for (const load of running.get(entry.load) ?? []) load.unwantedNs = entry.atNs;
        break;
      case 'settled':
        pending.set(entry.key, settled(pending.get(entry.key) ?? [], entry.stored));
    }
  }
  return { reads, mutations, loads, beats, unsettled };
}

/**
 * Which of the loads of a key have still to be dealt with. Nobody says which one has been: that it was
 * stored is known only where there is no choice.
 */
function settled(pending: readonly Changing<Load>[], stored: boolean): Changing<Load>[] {
  const ended = pending.filter(({ endedNs, unwantedNs }) => endedNs ?? unwantedNs);
  const [only, ...others] = ended.filter(({ unwantedNs }) => unwantedNs === undefined);
  if (only !== undefined) only.stored = stored && others.length === 0;
  return pending.filter((load) => load !== only && load.unwantedNs === undefined);
}

function callOf(
  by: string,
  entry: {
    readonly key: string;
    readonly begunNs: bigint;
    readonly endedNs: bigint;
    readonly ending: Ending;
  },
): Call {
  const { key: of, begunNs, endedNs, ending: outcome } = entry;
  return { of, by, begunNs, endedNs, outcome };
}
