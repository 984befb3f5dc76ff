import { countOfFaults, Excerpt } from '../excerpt.ts';
import { reportOf } from '../report.ts';
import type { History } from './history.ts';
import { allHits, type Promises, tellingCalls, type Violation } from './judge.ts';

/** Caches may answer an old value long after what has gone wrong. */
const AROUND_MS = 1_500;

/** What was found, in a few lines, then each of the first violations amid what happened around it. */
export function report(
  history: History,
  violations: readonly Violation[],
  promises: Promises,
): string {
  return reportOf(summary(history, promises), violations, (violation) =>
    around(history, violation),
  );
}

function summary(history: History, promises: Promises): string[] {
  const { faults, reads, mutations, loads, beats, startedNs, endedNs } = history;
  const telling = tellingCalls(history, promises);
  const succeeded = telling.filter(({ outcome }) => outcome === 'succeeded').length;
  const locals = reads.filter(({ local }) => local).length;
  const hits = allHits(history, promises);
  const count = (how: string): number => mutations.filter((each) => each.how === how).length;
  return [
    `${(Number(endedNs - startedNs) / 1e9).toFixed(1)} s, ${beats.size} processes, ${history.keys.length} keys`,
    countOfFaults(faults),
    `calls: ${reads.length} reads (${share(locals, reads.length)} local), ${count('deleted')} deletes, ${count('written')} writes; without a fault ${share(succeeded, telling.length)} of ${telling.length} succeeded`,
    `failed: ${endings([...reads, ...mutations])}`,
    `loads: ${loads.length}, of which ${loads.filter(({ leased }) => !leased).length} without a lease, ${loads.filter(({ stored }) => stored).length} stored`,
    `reads of what was there already: ${hits.undisturbed}, ${share(hits.local, hits.undisturbed)} local`,
  ];
}

const share = (some: number, all: number): string => `${((100 * some) / (all || 1)).toFixed(2)} %`;

function endings(calls: readonly { readonly outcome: unknown }[]): string {
  const counts = new Map<string, number>();
  for (const { outcome } of calls) {
    if (outcome === 'succeeded') continue;
    const what =
      typeof outcome === 'object'
        ? (outcome as { failedWith: string }).failedWith
        : String(outcome);
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return [...counts].map(([what, n]) => `${n} ${what}`).join(', ') || 'none';
}

/** What is known of a key, and of faults, around a violation. */
function around(history: History, { rule, text, key, atNs }: Violation): string[] {
  if (atNs === undefined) return [];
  const excerpt = new Excerpt(atNs, AROUND_MS);
  const add = (ns: bigint, line: string): void => excerpt.add(ns, line);
  excerpt.addFaults(history.faults);
  for (const change of history.changes)
    if (change.key === key) add(change.atNs, `the source: version ${change.version}`);
  for (const { of, by, how, version, begunNs, endedNs, outcome } of history.mutations)
    if (of === key)
      add(endedNs, `${by} ${how} ${version} ${JSON.stringify(outcome)}, ${took(begunNs, endedNs)}`);
  for (const { key: of, by, load, begunNs, endedNs, leased, stored } of history.loads) {
    if (of !== key) continue;
    add(begunNs, `${by} begins load ${load}${leased ? '' : ' without a lease'}`);
    if (endedNs !== undefined) add(endedNs, `${by} has loaded ${load}, stored: ${stored}`);
  }
  for (const { of, by, begunNs, endedNs, row, local, outcome } of history.reads)
    if (of === key && !(local && begunNs > atNs))
      add(
        endedNs,
        `${by} ${local ? 'has' : 'reads'} ${row?.version ?? JSON.stringify(outcome)}, ${took(begunNs, endedNs)}`,
      );
  return [`${rule}: ${text}`, ...excerpt.lines];
}

const took = (begunNs: bigint, endedNs: bigint): string =>
  `begun ${(Number(endedNs - begunNs) / 1e6).toFixed(2)} ms before`;
