const MOST_SHOWN = 5;
const MOST_NAMED = 50;

/** What was found wrong with a history, by which rule. */
interface Violation {
  readonly rule: string;
  readonly text: string;
}

/** What was found, in a few lines, then each of the first violations amid what happened `around` it. */
export function reportOf<V extends Violation>(
  summary: readonly string[],
  violations: readonly V[],
  around: (violation: V) => readonly string[],
): string {
  return [
    ...summary,
    `violations: ${violations.length}`,
    ...violations.slice(0, MOST_NAMED).map(({ rule, text }) => `  ${rule}: ${text}`),
    ...violations.slice(0, MOST_SHOWN).flatMap((violation) => ['', ...around(violation)]),
  ].join('\n');
}
