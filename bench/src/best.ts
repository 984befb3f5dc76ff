import { median } from './ratio.ts';

/** What was found of one of several, a figure a round. */
export interface Finding {
  readonly name: string;
  readonly rounds: readonly number[];
}

/** The one with the highest figure in a middling round. */
export function best(findings: readonly Finding[]): Finding {
  const [first, ...others] = findings;
  if (first === undefined) throw new Error('nothing was found, so nothing is best');
  return others.reduce(
    (leading, each) => (median(each.rounds) > median(leading.rounds) ? each : leading),
    first,
  );
}
