import { nsOf } from '../fault.ts';
import { type Fact, firstAfter, type KeyChanges } from './changes.ts';
import type { Beat, History, Read } from './history.ts';
import type { Promises, Violation } from './judge.ts';

/** What a master has confirmed so shortly before a failover may be lost by it. */
const REPLICATION_LAG_NS = 1_000_000_000n;

/** Reads that answered less than what had been confirmed before they began. */
export function staleReads(
  reads: readonly Read[],
  { facts }: KeyChanges,
  history: History,
  promises: Promises,
): Violation[] {
  const times = facts.map(({ sinceNs }) => sinceNs);
  let highest = 0;
  const required = facts.map(({ version }) => {
    highest = Math.max(highest, version);
    return highest;
  });
  return reads.flatMap((read) => {
    const { row, begunNs, by, of: key, local } = read;
    if (row === undefined) return [];
    const known = firstAfter(times, begunNs - 1n);
    if (known === 0 || row.version >= (required[known - 1] as number)) return [];
    const missed = facts
      .slice(0, known)
      .find((fact) => fact.version > row.version && !isExcused(fact, read, history, promises));
    if (missed === undefined) return [];
    const ms = (Number(begunNs - missed.sinceNs) / 1e6).toFixed(2);
    const where = local ? 'from itself' : 'from elsewhere';
    const text = `${by} read version ${row.version} of '${key}' ${where}, ${ms} ms after ${missed.by} was told that it had version ${missed.version}`;
    return [{ rule: 'stale' as const, text, key, atNs: begunNs }];
  });
}

/** The reader could not know, or nobody can. */
function isExcused(
  { sinceNs, by, ownOnly }: Fact,
  read: Read,
  { faults, beats }: History,
  { maxStalenessMs, ttlMs }: Promises,
): boolean {
  const { begunNs } = read;
  if (by !== read.by) {
    if (ownOnly) return true;
    const heard = heardNs(beats.get(read.by) ?? [], sinceNs);
    const isLate = begunNs > sinceNs + nsOf(maxStalenessMs);
    if (!isLate && (heard === undefined || begunNs <= heard)) return true;
  }
  return faults.some(
    ({ forks, beganNs, endedNs }) =>
      forks === true &&
      sinceNs >= beganNs - REPLICATION_LAG_NS &&
      sinceNs <= endedNs &&
      begunNs <= endedNs + nsOf(ttlMs),
  );
}

/** When the process had the first answer to a question that it had asked since. */
function heardNs(beats: readonly Beat[], sinceNs: bigint): bigint | undefined {
  const first = firstAfter(
    beats.map(({ sentNs }) => sentNs),
    sinceNs,
  );
  return beats.slice(first).find(({ answered }) => answered)?.atNs;
}
