import { late, undisturbed } from '../availability.ts';
import { type Fault, nsOf } from '../fault.ts';
import type { Beat, Given, History, Holding } from './history.ts';
import type { Arrival } from './register.ts';

/**
 * What locks promise, and what a history must not show.
 *
 * ```
 *   belief    A holder looked, and believed in its lock, after another had been given it with a
 *             higher token: two held it.
 *   accepted  What it wrote then was taken, since the other had not written yet.
 *   loss      A lock was lost before its lease had ended, and nobody had removed it: another must
 *             have freed or taken it.
 *   rising    A call that began after a lock was given got no higher token.
 *   twice     Two holders were given one token.
 *   given     Redis gave out a token that was not higher than the last.
 *   register  The database took a token lower than one it had taken: its own fault.
 *   bound     A key was not locked again within a lease and some slack after the faults.
 *   success   Fewer calls than promised succeeded where there was no fault.
 *   lost      A process ended by itself.
 * ```
 *
 * Excused are only holders from whom the lock was taken behind their back (DEL, FLUSHALL, failover):
 * a belief that lies, as the entry of the other holder does, between the moment right before the
 * removal was sent and the moment at which the process had heard of it. That is when Redis has
 * answered {@link BEATS} questions in a row of it that were asked after the removal was done: the
 * push lies before the first answer, and the answers to an extension that was under way and to the
 * look at the key which the push calls for lie before the others. Whether or not it ever hears, it
 * is over one lease after the removal, since nothing can have extended the lease since.
 *
 * A failover promises less, for Redis replicates after it has answered. For as long as it lasts two
 * masters may give the lock to one holder each, and it may be the one with the lower token whose
 * lock stands in the end; he is never told of the other. So a lock that was given in a failover
 * does not end the belief of others. What remains without any exception is what the tokens are for:
 * they rise from one call to the next, as long as the clocks of the servers agree better than the
 * failover is long, and so the database takes no write of the lower after one of the higher.
 */
export interface Violation {
  readonly rule:
    | 'belief'
    | 'accepted'
    | 'loss'
    | 'rising'
    | 'twice'
    | 'given'
    | 'register'
    | 'bound'
    | 'success'
    | 'lost';
  readonly text: string;
  /** Where to look in the history, if anywhere. */
  readonly key?: string;
  readonly atNs?: bigint;
}

export interface Promises {
  readonly leaseMs: number;
  /** How much longer than a lease it may take until a lock is given again after a fault. */
  readonly slackMs: number;
  readonly successRatio: number;
  /** As many calls without a fault must there be for that to mean anything. */
  readonly leastCalls: number;
}

/** See {@link Violation}. */
const BEATS = 3;

export function judge(history: History, promises: Promises): Violation[] {
  const { keys, holdings, arrivals, given, lost } = history;
  return [
    ...keys.flatMap((key) => {
      const ofKey = holdings.filter((holding) => holding.key === key);
      return [
        ...beliefs(ofKey, history, promises),
        ...fallingTokens(ofKey, history, promises),
        ...doubles(ofKey),
        ...losses(ofKey, history.faults),
      ];
    }),
    ...refusals(arrivals),
    ...outOfOrder(given),
    ...stalls(history, promises),
    ...failures(history, promises),
    ...lost.map((text) => ({ rule: 'lost' as const, text })),
  ];
}

/** Nobody believes in a lock that another has been given since. */
function beliefs(
  holdings: readonly Holding[],
  history: History,
  promises: Promises,
): readonly Violation[] {
  const found: Violation[] = [];
  let next: Holding | undefined;
  for (const holding of [...holdings].sort(byToken).reverse()) {
    const other = next;
    if (other !== undefined && other.token > holding.token) {
      const wrongNs = holding.beliefsNs.filter(
        (atNs) =>
          atNs > other.grantedNs && !isExcused(holding, other.grantedNs, atNs, history, promises),
      );
      found.unshift(...misbeliefs(holding, other, wrongNs, history));
    }
    const ends = !isForked(holding, history.faults);
    if (ends && (next === undefined || holding.grantedNs < next.grantedNs)) next = holding;
  }
  return found;
}

function misbeliefs(
  { key, by, call, token }: Holding,
  other: Holding,
  wrongNs: readonly bigint[],
  { arrivals }: History,
): Violation[] {
  const [atNs] = wrongNs;
  if (atNs === undefined) return [];
  const text = `${by} (${call}) held '${key}' under ${token}, ${since(atNs, other.grantedNs)} ${other.by} (${other.call}) had been given ${other.token}`;
  const taken = arrivals.filter(
    (write) =>
      write.accepted && write.by === by && write.call === call && wrongNs.includes(write.lookedNs),
  );
  return [
    { rule: 'belief', text, key, atNs },
    ...taken.map(({ what, lookedNs }) => ({
      rule: 'accepted' as const,
      text: `${what} of ${text}`,
      key,
      atNs: lookedNs,
    })),
  ];
}

/** Tokens rise from one call to the next. */
function fallingTokens(
  holdings: readonly Holding[],
  history: History,
  promises: Promises,
): readonly Violation[] {
  const found: Violation[] = [];
  const granted = [...holdings].sort((a, b) => compare(a.grantedNs, b.grantedNs));
  const called = [...holdings].sort((a, b) => compare(a.calledNs, b.calledNs));
  let highest: Holding | undefined;
  let passed = 0;
  for (const holding of called) {
    const { key, token, by, call, calledNs, grantedNs } = holding;
    for (; (granted[passed]?.grantedNs ?? calledNs) < calledNs; passed += 1) {
      const before = granted[passed] as Holding;
      if (highest === undefined || before.token > highest.token) highest = before;
    }
    if (highest === undefined || token > highest.token) continue;
    if (isExcused(holding, highest.grantedNs, grantedNs, history, promises)) continue;
    const text = `${by} (${call}) was given ${token} of '${key}', though it had called ${since(calledNs, highest.grantedNs)} ${highest.by} (${highest.call}) had been given ${highest.token}`;
    found.push({ rule: 'rising', text, key, atNs: grantedNs });
  }
  return found;
}

function doubles(holdings: readonly Holding[]): Violation[] {
  const sorted = [...holdings].sort(byToken);
  return sorted.flatMap(({ key, token, by, call, grantedNs }, i) => {
    const other = sorted[i - 1];
    if (other?.token !== token) return [];
    const text = `${token} of '${key}' was given to ${other.by} (${other.call}) and to ${by} (${call})`;
    return [{ rule: 'twice' as const, text, key, atNs: grantedNs }];
  });
}

/** Who keeps its lease keeps its lock. */
function losses(holdings: readonly Holding[], faults: readonly Fault[]): Violation[] {
  return holdings.flatMap(({ key, by, call, token, calledNs, lostNs, untilNs }) => {
    if (lostNs === undefined || untilNs === undefined || lostNs >= untilNs) return [];
    const isRemoved = faults.some(
      (fault) => removes(fault, key) && fault.beganNs <= lostNs && fault.endedNs >= calledNs,
    );
    if (isRemoved) return [];
    const leftMs = (Number(untilNs - lostNs) / 1e6).toFixed(2);
    const text = `${by} (${call}) lost '${key}' under ${token}, ${leftMs} ms before its lease could end`;
    return [{ rule: 'loss' as const, text, key, atNs: lostNs }];
  });
}

/** The lock was taken away since, before the other was given it, and the process had not heard yet. */
function isExcused(
  { key, by }: Holding,
  otherGrantedNs: bigint,
  atNs: bigint,
  { faults, beats }: History,
  { leaseMs }: Promises,
): boolean {
  return faults.some(
    (fault) =>
      removes(fault, key) &&
      fault.beganNs <= otherGrantedNs &&
      atNs <= heardNs(fault, beats.get(by) ?? [], leaseMs),
  );
}

const removes = ({ removes: what }: Fault, key: string): boolean =>
  what === 'all' || (what?.includes(key) ?? false);

/** When the process has heard of the removal at the latest. */
function heardNs({ endedNs }: Fault, beats: readonly Beat[], leaseMs: number): bigint {
  const atLatestNs = endedNs + nsOf(leaseMs);
  const first = beats.findIndex(
    ({ sentNs }, i) =>
      sentNs >= endedNs &&
      beats.slice(i, i + BEATS).filter(({ answered }) => answered).length === BEATS,
  );
  const heard = first < 0 ? undefined : beats[first + BEATS - 1]?.atNs;
  return heard !== undefined && heard < atLatestNs ? heard : atLatestNs;
}

/** It was given while there may have been two masters. */
const isForked = ({ calledNs, grantedNs }: Holding, faults: readonly Fault[]): boolean =>
  faults.some(
    ({ forks, beganNs, endedNs }) => forks === true && grantedNs >= beganNs && calledNs <= endedNs,
  );

function refusals(arrivals: readonly Arrival[]): Violation[] {
  const highest = new Map<string, bigint>();
  const found: Violation[] = [];
  for (const { key, token, accepted, by, arrivedNs } of arrivals) {
    if (!accepted) continue;
    const last = highest.get(key);
    if (last === undefined || token >= last) {
      highest.set(key, token);
      continue;
    }
    const text = `the write of ${by} to '${key}' under ${token} was taken after one under ${last}`;
    found.push({ rule: 'register', text, key, atNs: arrivedNs });
  }
  return found;
}

function outOfOrder(given: readonly Given[]): Violation[] {
  const last = new Map<string, Given>();
  const found: Violation[] = [];
  for (const next of given) {
    const before = last.get(next.key);
    // A holder that writes its lock anew may keep its token.
    const rises =
      before === undefined ||
      next.token > before.token ||
      (next.token === before.token && next.holder === before.holder);
    if (rises) last.set(next.key, next);
    else {
      const text = `Redis gave ${next.token} of '${next.key}' after ${before.token}`;
      found.push({ rule: 'given', text, key: next.key });
    }
  }
  return found;
}

function stalls(history: History, { leaseMs, slackMs }: Promises): Violation[] {
  const { keys, calls, faults, startedNs, endedNs } = history;
  const boundMs = leaseMs + slackMs;
  return late(keys, calls, faults, [startedNs, endedNs], boundMs).map(({ key, sinceNs }) => ({
    rule: 'bound' as const,
    text: `'${key}' was not locked within ${boundMs} ms after the faults had ended`,
    key,
    atNs: sinceNs,
  }));
}

function failures(
  { calls, faults }: History,
  { leaseMs, successRatio, leastCalls }: Promises,
): Violation[] {
  const telling = undisturbed(calls, faults, leaseMs);
  if (telling.length < leastCalls)
    return [{ rule: 'success', text: `only ${telling.length} calls were made without a fault` }];
  const failed = telling.filter(({ outcome }) => outcome !== 'succeeded');
  if (failed.length <= telling.length * (1 - successRatio)) return [];
  const codes = [...new Set(failed.map(({ outcome }) => JSON.stringify(outcome)))].join(', ');
  const text = `${failed.length} of ${telling.length} calls without a fault failed: ${codes}`;
  return [{ rule: 'success', text, key: failed[0]?.of as string, atNs: failed[0]?.endedNs ?? 0n }];
}

const byToken = (a: Holding, b: Holding): number => compare(a.token, b.token);

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : Number(a > b));

const since = (atNs: bigint, beforeNs: bigint): string =>
  `${(Number(atNs - beforeNs) / 1e6).toFixed(2)} ms after`;
