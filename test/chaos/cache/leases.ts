import { type Fault, nsOf } from '../fault.ts';
import { compare, type KeyChanges, killed, Spans } from './changes.ts';
import type { History, Load } from './history.ts';
import type { Promises, Violation } from './judge.ts';

/** Loads of a key that began while the lease of another must have stood. */
export function doubleLoads(
  loads: readonly Load[],
  { spans }: KeyChanges,
  history: History,
  promises: Promises,
): Violation[] {
  const changes = new Spans(spans);
  const { leaseMs, redisMs } = promises;
  const leased = loads.filter((load) => load.leased).sort((a, b) => compare(a.begunNs, b.begunNs));
  const found: Violation[] = [];
  // Only as many as run at a time are compared with one that begins.
  let running: Load[] = [];
  for (const load of leased) {
    const { begunNs, by, key } = load;
    // Its lease may be older than it looks, and over already.
    const isLate = load.stored !== true && !hasHeardSince(load, leaseMs, history);
    running = running.filter((other) => runsUntilNs(other, history, promises) > begunNs);
    for (const other of isLate ? [] : running) {
      // It was acquired before it began, by less than what is waited for an answer.
      const since = { fromNs: other.begunNs - nsOf(redisMs), untilNs: begunNs };
      const removed =
        changes.meet(since) ||
        history.faults.some(
          (fault) =>
            removes(fault, key) && fault.beganNs <= begunNs && fault.endedNs >= since.fromNs,
        );
      if (removed) continue;
      const standsUntilNs = since.fromNs + nsOf(leaseMs);
      const mayHaveEnded = begunNs > standsUntilNs && isHindered(other, begunNs, history);
      if (mayHaveEnded && other.stored !== true) continue;
      const ms = (Number(begunNs - other.begunNs) / 1e6).toFixed(2);
      const text = `${by} began to load '${key}' ${ms} ms after ${other.by} had, under a lease that stood`;
      found.push({ rule: 'twice', text, key, atNs: begunNs });
    }
    running.push(load);
  }
  return found;
}

/**
 * Whether its process has had an answer to what it asked less than a lease before. Then it had its lease
 * by something that it asked later still, since a loader is called as soon as that is answered.
 */
function hasHeardSince({ by, begunNs }: Load, leaseMs: number, { beats }: History): boolean {
  const sinceNs = begunNs - nsOf(leaseMs);
  return (beats.get(by) ?? []).some(
    ({ sentNs, atNs, answered }) => answered && sentNs >= sinceNs && atNs <= begunNs,
  );
}

/** As far as it is known; the lease of one that was killed ends by itself. */
function runsUntilNs(
  { endedNs, unwantedNs, by, begunNs }: Load,
  { endedNs: overNs, faults }: History,
  { leaseMs, redisMs }: Promises,
): bigint {
  if (unwantedNs !== undefined) return unwantedNs;
  if (endedNs !== undefined) return endedNs;
  return killed(by, faults) === undefined ? overNs : begunNs + nsOf(leaseMs - redisMs);
}

/** Something may have kept its process from extending its lease. */
const isHindered = ({ by, begunNs }: Load, untilNs: bigint, { faults }: History): boolean =>
  faults.some(
    (fault) =>
      touches(fault, by) && fault.beganNs <= untilNs && fault.endedNs >= begunNs - 1_000_000_000n,
  );

/** Whether a fault concerns that process: it is done to it, or to what all use. */
export const touches = ({ whom, removes: what }: Fault, by: string): boolean =>
  whom === by || what === 'all' || (what === undefined && !whom.startsWith('process '));

const removes = ({ removes: what }: Fault, key: string): boolean =>
  what === 'all' || (what?.includes(key) ?? false);
