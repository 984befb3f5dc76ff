import { channel } from 'node:diagnostics_channel';

/** Told of each round before it begins, for whoever shows how far a benchmark is. */
export const ROUND_CHANNEL = 'redcache-bench:round';
export interface RoundMessage {
  /** 0 for the one that is forgotten. */
  readonly round: number;
  readonly rounds: number;
}

const roundChannel = channel(ROUND_CHANNEL);

/**
 * Measures all subjects in turn, again and again (A B C A B C …), so that a machine that is busy
 * with something else for a while is so for all of them alike. Answers one figure of each subject
 * for each round. The first round lets V8 compile, and is forgotten.
 */
export async function inTurn<S, F>(
  subjects: readonly S[],
  rounds: number,
  measure: (subject: S) => Promise<F>,
): Promise<readonly (readonly F[])[]> {
  const figures: F[][] = subjects.map(() => []);
  for (let round = 0; round <= rounds; round += 1) {
    roundChannel.publish({ round, rounds } satisfies RoundMessage);
    for (const [place, subject] of subjects.entries()) {
      const figure = await measure(subject);
      if (round > 0) figures[place]?.push(figure);
    }
  }
  return figures;
}
