import { undisturbed } from '../availability.ts';
import { countOfFaults, Excerpt } from '../excerpt.ts';
import { reportOf } from '../report.ts';
import type { History } from './history.ts';
import type { Promises, Violation } from './judge.ts';

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

function summary(history: History, { leaseMs }: Promises): string[] {
  const { faults, holdings, calls, arrivals, given, startedNs, endedNs } = history;
  const telling = undisturbed(calls, faults, leaseMs);
  const succeeded = (some: typeof calls): number =>
    some.filter(({ outcome }) => outcome === 'succeeded').length;
  return [
    `${(Number(endedNs - startedNs) / 1e9).toFixed(1)} s, ${history.beats.size} processes`,
    countOfFaults(faults),
    `calls: ${calls.length}, of which ${succeeded(calls)} got the lock; without a fault ${succeeded(telling)} of ${telling.length}`,
    `holdings: ${holdings.length}, looks that found the lock held: ${holdings.reduce((n, { beliefsNs }) => n + beliefsNs.length, 0)}, tokens seen at the server: ${given.length}`,
    `writes: ${arrivals.length}, refused: ${arrivals.filter(({ accepted }) => !accepted).length}`,
  ];
}

/** What is known of a key, and of faults, around a violation; times in milliseconds from it. */
function around(history: History, { rule, text, key, atNs }: Violation): string[] {
  if (atNs === undefined) return [];
  const excerpt = new Excerpt(atNs);
  const add = (ns: bigint, line: string): void => excerpt.add(ns, line);
  excerpt.addFaults(history.faults);
  for (const holding of history.holdings) {
    const { by, call, token, calledNs, grantedNs, beliefsNs, lostNs } = holding;
    if (holding.key !== key) continue;
    const who = `${by} (${call}) ${token}`;
    add(grantedNs, `${who} granted, called ${Number(grantedNs - calledNs) / 1e6} ms before`);
    for (const ns of beliefsNs) add(ns, `${who} believes`);
    if (lostNs !== undefined) add(lostNs, `${who} has lost it`);
  }
  for (const { of, by, begunNs, endedNs, outcome } of history.calls)
    if (of === key && typeof outcome === 'object')
      add(
        endedNs,
        `${by} ${outcome.failedWith}, called ${Number(endedNs - begunNs) / 1e6} ms before`,
      );
  for (const { what, by, call, token, arrivedNs, accepted, ...write } of history.arrivals)
    if (write.key === key)
      add(arrivedNs, `${by} (${call}) ${token} ${what} ${accepted ? 'accepted' : 'refused'}`);
  return [`${rule}: ${text}`, ...excerpt.lines];
}
