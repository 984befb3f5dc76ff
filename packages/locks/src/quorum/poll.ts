import { type Outcome, outcomeOf, type Vote } from './majority.ts';

export interface Polled<Answer> {
  readonly outcome: Outcome;
  /** In the order in which they came; those not needed are missing. */
  readonly votes: readonly Vote<Answer>[];
}

/**
 * Waits for the votes of all servers, and no longer than until they decide. Those that come later are
 * nobody's concern here: whoever asked for them sees to what they leave.
 *
 * Never rejects, and takes as long as the slowest of those it needs: each is to be bounded by itself.
 */
export function poll<Answer>(asked: readonly Promise<Vote<Answer>>[]): Promise<Polled<Answer>> {
  return new Promise((resolve) => {
    const votes: Vote<Answer>[] = [];
    for (const each of asked)
      void each.then((vote) => {
        votes.push(vote);
        const outcome = outcomeOf(votes, asked.length);
        if (outcome !== undefined) resolve({ outcome, votes: [...votes] });
      });
  });
}

/** One vote: granted if it is answered, unless the answer says otherwise. */
export async function voteOf<Answer>(
  server: number,
  ask: () => Promise<Answer>,
): Promise<Vote<Answer>> {
  try {
    return { server, vote: 'granted', answer: await ask() };
  } catch (error) {
    return { server, vote: 'failed', error };
  }
}
