import type { Fault } from '../fault.ts';
import type { Beat, History, Mutation } from './history.ts';

/** From that moment on a version is to be seen, or a newer one. */
export interface Fact {
  readonly key: string;
  readonly version: number;
  readonly sinceNs: bigint;
  /** The process that was told so. */
  readonly by: string;
  /** Nobody else was told: it does not know yet what became of its write. */
  readonly ownOnly: boolean;
}

/** The time in which a change of a key may reach Redis. */
export interface Span {
  readonly fromNs: bigint;
  readonly untilNs: bigint;
}

/** What a history says of the changes of one key. */
export interface KeyChanges {
  /** By time. */
  readonly facts: readonly Fact[];
  /** By their beginning. */
  readonly spans: readonly Span[];
}

const UNKNOWN = 'REDCACHE_OUTCOME_UNKNOWN';
const LOST = 'REDCACHE_LOCK_LOST';

/** What is known of the changes of each key. */
export function changesByKey(history: History): Map<string, KeyChanges> {
  const mutations = new Map(
    history.mutations.map((mutation) => [`${mutation.of} ${mutation.version}`, mutation]),
  );
  const all = new Map<string, { facts: Fact[]; spans: Span[] }>(
    history.keys.map((key) => [key, { facts: [], spans: [] }]),
  );
  for (const { key, version, by, atNs } of history.changes) {
    const ofKey = all.get(key);
    const mutation = mutations.get(`${key} ${version}`);
    ofKey?.facts.push(...factsOf(mutation, history));
    ofKey?.spans.push({ fromNs: atNs, untilNs: settledNs(mutation, by, history) });
  }
  for (const { facts, spans } of all.values()) {
    facts.sort((a, b) => compare(a.sinceNs, b.sinceNs));
    spans.sort((a, b) => compare(a.fromNs, b.fromNs));
  }
  return all;
}

function factsOf(mutation: Mutation | undefined, { beats }: History): Fact[] {
  if (mutation?.version === undefined) return [];
  const { of: key, version, by, endedNs } = mutation;
  const fact = { key, version, by, sinceNs: endedNs, ownOnly: false };
  if (isKnown(mutation)) return [fact];
  if (!isUncertain(mutation)) return [];
  const own = { ...fact, ownOnly: true };
  const certain = certainNs(beats.get(by) ?? [], endedNs);
  return certain === undefined ? [own] : [own, { ...fact, sinceNs: certain }];
}

/** It is done, or the key was deleted in its place. */
const isKnown = ({ outcome, how }: Mutation): boolean =>
  outcome === 'succeeded' ||
  (how === 'written' && typeof outcome === 'object' && outcome.failedWith === LOST);

/** Its process sees to it that it is deleted; a delete that the server refused is its caller's own. */
const isUncertain = ({ outcome, how }: Mutation): boolean =>
  typeof outcome === 'object' && (outcome.failedWith === UNKNOWN || how === 'written');

/** When nothing can come of it any more. */
function settledNs(
  mutation: Mutation | undefined,
  by: string,
  { beats, faults, endedNs }: History,
): bigint {
  // It was killed with its process, whose connections have ended when another is in its place.
  if (mutation === undefined) return killed(by, faults)?.endedNs ?? endedNs;
  if (!isUncertain(mutation)) return mutation.endedNs;
  return certainNs(beats.get(by) ?? [], mutation.endedNs) ?? killed(by, faults)?.endedNs ?? endedNs;
}

export const killed = (by: string, faults: readonly Fault[]): Fault | undefined =>
  faults.find(({ what, whom }) => what === 'SIGKILL' && whom === by);

/** When its process was first seen to know again what became of all its writes. */
const certainNs = (beats: readonly Beat[], sinceNs: bigint): bigint | undefined =>
  beats.find(({ atNs, uncertain }) => atNs > sinceNs && uncertain === 0)?.atNs;

/** Whether any of these reaches into that time. `spans`: by their beginning. */
export class Spans {
  readonly #fromNs: readonly bigint[];
  /** For each the latest end so far. */
  readonly #untilNs: readonly bigint[];

  constructor(spans: readonly Span[]) {
    this.#fromNs = spans.map(({ fromNs }) => fromNs);
    let latest = -1n;
    this.#untilNs = spans.map(({ untilNs }) => {
      if (untilNs > latest) latest = untilNs;
      return latest;
    });
  }

  meet({ fromNs, untilNs }: Span): boolean {
    const count = firstAfter(this.#fromNs, untilNs);
    return count > 0 && (this.#untilNs[count - 1] as bigint) >= fromNs;
  }

  /** Where the last one began before that moment. */
  lastBefore(atNs: bigint): bigint | undefined {
    return this.#fromNs[firstAfter(this.#fromNs, atNs) - 1];
  }
}

/** The index of the first time that is later. `times`: in their order. */
export function firstAfter(times: readonly bigint[], atNs: bigint): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((times[middle] as bigint) > atNs) high = middle;
    else low = middle + 1;
  }
  return low;
}

export const compare = (a: bigint, b: bigint): number => (a < b ? -1 : Number(a > b));
