import { type Change, compare, nameOf } from './regression.ts';
import { placeOf, type ResultFile, ResultFileError, readResultFile } from './result-file.ts';
import { tableOf } from './table.ts';
import { textOf } from './unit.ts';
import { parseUsage, UsageError } from './usage-error.ts';

const HELP = `Usage: npm run bench:check -- before.json after.json [--all] [--unlike]

Compares the rows of redcache in two files of bench/results. What became of the rows that no change
of redcache touches is taken out: that is the machine. Exit code 1: something became worse by more
than the noise of both runs.
--all: say what stayed the same as well.
--unlike: compare runs of different machines or efforts nevertheless.
`;

/** Where it says what it found, and why it could not. */
export interface Output {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

/** Answers the exit code: 0, 1 for a regression, 2 for what can't be compared. */
export async function check(args: readonly string[], output: Output): Promise<number> {
  try {
    const { values, positionals } = parseUsage({
      args: [...args],
      allowPositionals: true,
      options: {
        all: { type: 'boolean' },
        unlike: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) {
      output.out(HELP);
      return 0;
    }
    const [before, after, ...others] = positionals;
    if (before === undefined || after === undefined || others.length > 0)
      throw new UsageError('two files are compared, the earlier first');
    const files = [await readResultFile(before), await readResultFile(after)] as const;
    const unlike = differences(...files);
    if (unlike.length > 0 && !values.unlike)
      throw new UsageError(`${unlike.join('; ')}: such runs are compared with --unlike alone`);
    return report(...files, values.all ?? false, output.out);
  } catch (error) {
    if (!(error instanceof UsageError) && !(error instanceof ResultFileError)) throw error;
    output.err(`redcache bench:check: ${error.message}`);
    return 2;
  }
}

/** Why figures of the two would not mean the same. */
function differences(before: ResultFile, after: ResultFile): readonly string[] {
  const aspects: Readonly<Record<string, (file: ResultFile) => string>> = {
    processor: ({ machine }) => `${machine.cores} × ${machine.cpu}`,
    effort: ({ effort }) => effort,
  };
  return Object.entries(aspects).flatMap(([name, of]) =>
    of(before) === of(after) ? [] : [`the ${name} is ${of(before)} and ${of(after)}`],
  );
}

function report(before: ResultFile, after: ResultFile, all: boolean, out: Output['out']): number {
  for (const line of changedVersions(before, after)) out(line);
  const { changes, missing } = compare(before, after);
  if (changes.length === 0) throw new UsageError('the two files have nothing of ours in common');
  const of = (verdict: Change['verdict']): readonly Change[] =>
    changes.filter((each) => each.verdict === verdict);
  const shown = all ? changes : changes.filter(({ verdict }) => verdict !== 'same');
  if (shown.length > 0) out(tableOf([HEAD, ...shown.map(lineOf)]));
  for (const place of missing) out(place);
  const [worse, better, same] = [of('worse'), of('better'), of('same')];
  out(
    `${worse.length} worse, ${better.length} better, ${same.length} the same as far as can be told`,
  );
  return worse.length > 0 ? 1 : 0;
}

/** Figures may have changed with them. */
function changedVersions(
  { versions: before }: ResultFile,
  { versions: after }: ResultFile,
): readonly string[] {
  const all = ({ node, redis, packages }: ResultFile['versions']): Record<string, string> => ({
    ...packages,
    Node: node,
    server: redis,
  });
  const [then, now] = [all(before), all(after)];
  return Object.keys({ ...then, ...now })
    .filter((name) => then[name] !== now[name])
    .map(
      (name) => `${name}: ${then[name] ?? 'not there'} before, ${now[name] ?? 'not there'} after`,
    );
}

const HEAD = ['', 'before', 'after', 'change', 'noise', ''];

function lineOf(change: Change): readonly string[] {
  const { scenario, panel, row, before, after, times, allowed, verdict } = change;
  return [
    `${scenario}, ${placeOf(panel)}, ${nameOf(row)}`,
    textOf(before, panel.unit),
    textOf(after, panel.unit),
    Number.isFinite(times) ? signed(100 * (times - 1)) : 'from nothing',
    `${(100 * allowed).toFixed(1)} %`,
    verdict === 'same' ? '' : verdict.toUpperCase(),
  ];
}

const signed = (percent: number): string =>
  `${percent < 0 ? '−' : '+'}${Math.abs(percent).toFixed(1)} %`;
