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
  for (let round = 0; round <= rounds; round += 1)
    for (const [place, subject] of subjects.entries()) {
      const figure = await measure(subject);
      if (round > 0) figures[place]?.push(figure);
    }
  return figures;
}
