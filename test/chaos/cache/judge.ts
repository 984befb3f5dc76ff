import { undisturbed } from '../availability.ts';
import { changesByKey } from './changes.ts';
import type { History, Load, Mutation, Read } from './history.ts';
import { type Hits, hitsOf } from './hits.ts';
import { doubleLoads } from './leases.ts';
import { staleReads } from './staleness.ts';

/**
 * What caches promise, and what a history must not show.
 *
 * ```
 *   stale      A read answered a version older than one that had been confirmed before it began.
 *   invented   A read answered what the source never said, or said of another key.
 *   twice      A key was loaded while the lease of another load stood.
 *   unsettled  A call never ended.
 *   success    Fewer calls than promised succeeded where there was no fault.
 *   hits       Fewer reads than promised were served from the process, of keys that it had read and
 *              to which nothing had happened since.
 *   lost       A process ended by itself.
 * ```
 *
 * Confirmed is a version once a delete or write has resolved to whoever made the source have it. One
 * that was refused because its lock was lost has deleted the key in its place, and counts as well. One
 * that went unanswered binds the process that was told so at once; all others when that process knows
 * that the key was deleted again. One whose process was killed binds nobody.
 *
 * Another process than the one that was told may go on reading what was before until it has heard of
 * the change, and no longer than `maxStalenessMs`. It has heard when Redis has answered a question of
 * it that was asked after the confirmation, on the connection that its reads use: the push lies before.
 *
 * A failover loses what the old master has confirmed and not replicated, and for as long as it lasts
 * two masters may confirm. So what was confirmed during one or right before binds nobody until the
 * longest TTL is over after it: then whatever came back with the new master has gone.
 *
 * A lease stands until the load has ended or nobody wants it, unless its key was changed or removed by
 * somebody, or, a lease after it was taken, its process or its server was in trouble and it can't be
 * proved that it was extended. A load that was stored had its lease until then, whatever happened.
 * Loads of processes that could not use Redis have none, and are left out; so are those that began when
 * their own lease may have been over, since their process had not heard of Redis for so long.
 */
export interface Violation {
  readonly rule: 'stale' | 'invented' | 'twice' | 'unsettled' | 'success' | 'hits' | 'lost';
  readonly text: string;
  /** Where to look in the history, if anywhere. */
  readonly key?: string;
  readonly atNs?: bigint;
}

export interface Promises {
  readonly maxStalenessMs: number;
  readonly leaseMs: number;
  /** The longest wait for an answer of Redis. */
  readonly redisMs: number;
  readonly ttlMs: number;
  /** How long after a fault processes may still be busy with it. */
  readonly settleMs: number;
  readonly successRatio: number;
  readonly hitRatio: number;
  /** As many calls, and reads, without a fault must there be for that to mean anything. */
  readonly leastCalls: number;
}

export function judge(history: History, promises: Promises): Violation[] {
  const { keys, lost } = history;
  const changes = changesByKey(history);
  const reads = byKey(history.reads, ({ of }) => of);
  const loads = byKey(history.loads, ({ key }) => key);
  return [
    ...keys.flatMap((key) => {
      const ofKey = changes.get(key) ?? { facts: [], spans: [] };
      return [
        ...staleReads(reads.get(key) ?? [], ofKey, history, promises),
        ...doubleLoads(loads.get(key) ?? [], ofKey, history, promises),
      ];
    }),
    ...inventions(history),
    ...failures(history, promises),
    ...misses(allHits(history, promises), promises),
    ...history.unsettled.map(({ by, what, key, atNs }) => ({
      ...{
        rule: 'unsettled' as const,
        text: `${what} of '${key}' by ${by} never ended`,
        key,
        atNs,
      },
    })),
    ...lost.map((text) => ({ rule: 'lost' as const, text })),
  ];
}

/** Of all keys together. */
export function allHits(history: History, promises: Promises): Hits {
  const changes = changesByKey(history);
  const all = [...byKey(history.reads, ({ of }) => of)].map(([key, reads]) =>
    hitsOf(reads, changes.get(key) ?? { facts: [], spans: [] }, history, promises),
  );
  return {
    undisturbed: all.reduce((sum, { undisturbed: some }) => sum + some, 0),
    local: all.reduce((sum, { local }) => sum + local, 0),
    missed: all.flatMap(({ missed }) => missed),
  };
}

/** Calls that say something of how many succeed without a fault. */
export function tellingCalls(
  { reads, mutations, faults }: History,
  { settleMs }: Promises,
): (Read | Mutation)[] {
  return undisturbed([...reads, ...mutations], faults, settleMs) as (Read | Mutation)[];
}

function inventions({ reads, changes }: History): Violation[] {
  const saidNs = new Map(changes.map(({ key, version, atNs }) => [`${key} ${version}`, atNs]));
  return reads.flatMap(({ of: key, row, by, begunNs, endedNs, outcome }) => {
    if (outcome !== 'succeeded') return [];
    const atNs = row?.version === 0 ? 0n : saidNs.get(`${row?.key} ${row?.version}`);
    if (row?.key === key && atNs !== undefined && atNs <= endedNs) return [];
    const text = `${by} read ${JSON.stringify(row)} of '${key}', which the source had not said`;
    return [{ rule: 'invented' as const, text, key, atNs: begunNs }];
  });
}

function failures(history: History, promises: Promises): Violation[] {
  const { successRatio, leastCalls } = promises;
  const telling = tellingCalls(history, promises);
  if (telling.length < leastCalls)
    return [{ rule: 'success', text: `only ${telling.length} calls were made without a fault` }];
  const failed = telling.filter(({ outcome }) => outcome !== 'succeeded');
  if (failed.length <= telling.length * (1 - successRatio)) return [];
  const codes = [...new Set(failed.map(({ outcome }) => JSON.stringify(outcome)))].join(', ');
  const text = `${failed.length} of ${telling.length} calls without a fault failed: ${codes}`;
  return [{ rule: 'success', text, key: failed[0]?.of as string, atNs: failed[0]?.endedNs ?? 0n }];
}

function misses(
  { undisturbed: all, local, missed }: Hits,
  { hitRatio, leastCalls }: Promises,
): Violation[] {
  if (all < leastCalls)
    return [{ rule: 'hits', text: `only ${all} reads were made of what was there already` }];
  if (local >= all * hitRatio) return [];
  const text = `only ${local} of ${all} reads of what was there already were local hits`;
  return [{ rule: 'hits', text, key: missed[0]?.of as string, atNs: missed[0]?.begunNs ?? 0n }];
}

function byKey<T extends Read | Load>(
  all: readonly T[],
  keyOf: (each: T) => string,
): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const each of all) {
    const ofKey = found.get(keyOf(each));
    if (ofKey === undefined) found.set(keyOf(each), [each]);
    else ofKey.push(each);
  }
  return found;
}
