import { QuorumError } from '../errors.ts';
import { readLockValue } from '../lock-value.ts';
import { type Inspected, inspect, inspectedIn } from '../scripts/inspect.ts';
import { countOf, leaderOf, majorityOf, standsForMs, type Vote } from './majority.ts';
import type { Place } from './member.ts';
import { poll, voteOf } from './poll.ts';

/**
 * Whether a majority of the places has a lock in it, whoever holds it there.
 *
 * Sends: EXISTS to each of them.
 * Throws: {@link QuorumError} if too many failed to tell; of one place what it throws.
 */
export function isLockedIn(key: string, places: readonly Place[]): Promise<boolean> {
  const [only] = places;
  return places.length === 1 && only !== undefined ? exists(key, only) : existsIn(key, places);
}

/**
 * The lock as a majority of the places has it: free if nobody has one.
 *
 * Sends: EVALSHA `inspect` (1 key) to each of them, EVAL once on NOSCRIPT; waits for all.
 * Throws: {@link QuorumError} if a majority failed to tell; of one place what it throws.
 */
export function inspectPlaces(
  key: string,
  places: readonly Place[],
  most: number,
): Promise<Inspected> {
  const [only] = places;
  if (places.length === 1 && only !== undefined) return look(key, only, most);
  return inspectMajority(key, places, most);
}

async function inspectMajority(
  key: string,
  places: readonly Place[],
  most: number,
): Promise<Inspected> {
  const votes = await Promise.all(
    places.map((place, server) => voteOf(server, () => look(key, place, most))),
  );
  if (countOf(votes, 'granted') < majorityOf(places.length))
    throw new QuorumError(key, places.length, votes);
  const seen = votes.flatMap((vote) => (vote.vote === 'granted' ? [vote.answer] : []));
  return merged(seen, places.length);
}

async function existsIn(key: string, places: readonly Place[]): Promise<boolean> {
  const { outcome, votes } = await poll(
    places.map(async (place, server): Promise<Vote<void>> => {
      const vote = await voteOf(server, () => exists(key, place));
      if (vote.vote !== 'granted') return vote;
      if (!vote.answer) return { server, vote: 'held', found: 'deleted' };
      return { server, vote: 'granted', answer: undefined };
    }),
  );
  if (outcome === 'granted') return true;
  if (outcome === 'held') return false;
  throw new QuorumError(key, places.length, votes);
}

/** Nobody stands in a queue for the lock of a quorum. */
function merged(seen: readonly Inspected[], places: number): Inspected {
  const leader = leaderOf(
    seen.map(({ value }) => readLockValue(value)?.holder),
    places,
  );
  const its = seen.filter(
    ({ value }) => leader !== undefined && readLockValue(value)?.holder === leader,
  );
  const remaining = its.map(({ remainingMs }) => remainingMs);
  return {
    // The lease's token is the highest of those that its places gave it.
    value: its.map(({ value = '' }) => value).toSorted(byToken)[0],
    remainingMs: standsForMs(remaining, places),
    waiting: 0,
    first: [],
  };
}

function byToken(a: string, b: string): number {
  const [tokenA, tokenB] = [a, b].map((value) => readLockValue(value)?.token ?? 0n);
  return Number((tokenB as bigint) - (tokenA as bigint));
}

function exists(key: string, { connections, keys }: Place): Promise<boolean> {
  return connections.current.ask(
    key,
    (port) => port.send(['EXISTS', keys.lock]),
    (count) => Number(count) > 0,
  );
}

function look(key: string, { connections, keys }: Place, most: number): Promise<Inspected> {
  return connections.current.ask(key, (port) => inspect(port, keys, most), inspectedIn);
}
