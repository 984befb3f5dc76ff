import { type Fault, nsOf } from '../fault.ts';
import { compare, type KeyChanges, Spans } from './changes.ts';
import type { History, Read } from './history.ts';
import type { Promises } from './judge.ts';
import { touches } from './leases.ts';

/** Reads of what the same process had read already, and nothing has happened to since. */
export interface Hits {
  readonly undisturbed: number;
  /** As many of them were served from the process. */
  readonly local: number;
  /** Some of the others. */
  readonly missed: readonly Read[];
}

/** `reads`: of one key. */
export function hitsOf(
  reads: readonly Read[],
  { spans }: KeyChanges,
  { faults, startedNs }: History,
  { settleMs, ttlMs }: Promises,
): Hits {
  const changes = new Spans(spans);
  const byProcess = new Map<string, Read[]>();
  for (const read of reads) {
    const all = byProcess.get(read.by);
    if (all === undefined) byProcess.set(read.by, [read]);
    else all.push(read);
  }
  let undisturbed = 0;
  const missed: Read[] = [];
  for (const [by, all] of byProcess) {
    const concerning = new Spans(
      faults
        .filter((fault) => touches(fault, by))
        .map(({ beganNs, endedNs }) => ({ fromNs: beganNs, untilNs: endedNs + nsOf(settleMs) }))
        .sort((a, b) => compare(a.fromNs, b.fromNs)),
    );
    const taken = faults
      .filter(({ removes }) => Array.isArray(removes) && removes.includes(all[0]?.of))
      .map(({ beganNs, endedNs }: Fault) => ({ fromNs: beganNs, untilNs: endedNs }));
    const removals = new Spans(taken);
    let before: Read | undefined;
    for (const read of all.sort((a, b) => compare(a.begunNs, b.begunNs))) {
      const since = before;
      // Of several that ran at a time the one that ended first is the one to go by.
      if (
        read.row !== undefined &&
        (since === undefined || read.endedNs < since.endedNs || read.begunNs > since.endedNs)
      )
        before = read;
      if (since === undefined || read.outcome !== 'succeeded' || read.begunNs <= since.endedNs)
        continue;
      const window = { fromNs: since.begunNs, untilNs: read.begunNs };
      // It can't have been stored before it last changed, so it has not expired either.
      const storedNs = changes.lastBefore(window.fromNs) ?? startedNs;
      if (read.begunNs >= storedNs + nsOf(0.9 * ttlMs)) continue;
      if (changes.meet(window) || concerning.meet(window) || removals.meet(window)) continue;
      undisturbed += 1;
      if (!read.local) missed.push(read);
    }
  }
  return { undisturbed, local: undisturbed - missed.length, missed };
}
