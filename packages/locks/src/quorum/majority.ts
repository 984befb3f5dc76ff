/** What one server of a quorum says to what it was asked, or that it did not. */
export type Vote<Answer = unknown> =
  | { readonly server: number; readonly vote: 'granted'; readonly answer: Answer }
  | {
      readonly server: number;
      readonly vote: 'held';
      /** For how long, -1 without end; left out where that is not known. */
      readonly remainingMs?: number;
      /** Why it is not ours, if it was to be. */
      readonly found?: 'deleted' | 'taken';
    }
  | { readonly server: number; readonly vote: 'failed'; readonly error: unknown };

/**
 * `held`: a majority refused. `failed`: so many did not answer that the others are none. `split`: the
 * others answered, and neither those who granted nor those who refused are a majority.
 */
export type Outcome = 'granted' | 'held' | 'failed' | 'split';

/** How many of so many servers two majorities can't both have. */
export function majorityOf(servers: number): number {
  return Math.floor(servers / 2) + 1;
}

/**
 * What the votes so far decide; `undefined` while it depends on those that are to come. That too many
 * have failed is said when all have been heard, so that whoever is told so is told every vote.
 */
export function outcomeOf(votes: readonly Vote[], servers: number): Outcome | undefined {
  const majority = majorityOf(servers);
  const spare = servers - majority;
  if (countOf(votes, 'granted') >= majority) return 'granted';
  if (countOf(votes, 'held') > spare) return 'held';
  if (votes.length < servers) return undefined;
  return countOf(votes, 'failed') > spare ? 'failed' : 'split';
}

/**
 * When a majority may become possible: when the first of those who refused have had their time, as
 * many as are needed beside those who granted and those who have not answered yet. `Infinity` for
 * never by time alone.
 */
export function freeInMs(votes: readonly Vote[], servers: number): number {
  const pending = servers - votes.length;
  const missing = Math.max(1, majorityOf(servers) - countOf(votes, 'granted') - pending);
  const ends = votes
    .flatMap((vote) => (vote.vote === 'held' ? [vote.remainingMs ?? -1] : []))
    .map((remainingMs) => (remainingMs < 0 ? Infinity : remainingMs))
    .sort((a, b) => a - b);
  return ends[missing - 1] ?? Infinity;
}

/** How long a majority stands whose members stand so long: as long as the last one it can't miss. */
export function standsForMs(remainingMs: readonly number[], servers: number): number {
  const longestFirst = remainingMs.toSorted((a, b) => b - a);
  return longestFirst[majorityOf(servers) - 1] ?? 0;
}

/** Who of these is there often enough to be a majority. */
export function leaderOf(
  holders: readonly (string | undefined)[],
  servers: number,
): string | undefined {
  const times = new Map<string, number>();
  for (const holder of holders) {
    if (holder === undefined) continue;
    const seen = (times.get(holder) ?? 0) + 1;
    if (seen >= majorityOf(servers)) return holder;
    times.set(holder, seen);
  }
  return undefined;
}

export function countOf(votes: readonly Vote[], vote: Vote['vote']): number {
  return votes.filter((each) => each.vote === vote).length;
}
