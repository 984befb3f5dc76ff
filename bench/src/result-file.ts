import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { UNITS } from './unit.ts';

/** Raised by whoever changes what is in a file; files of another one are refused. */
export const RESULT_SCHEMA = 1;

const text = z.string().min(1);
const figure = z.number();

const row = z.strictObject({
  name: text,
  standing: z.enum(['ours', 'peer', 'limit']),
  at: figure.optional(),
  rounds: z.array(figure).min(1).readonly(),
});

const panel = z
  .strictObject({
    setting: z.string(),
    figure: text,
    unit: z.enum(UNITS),
    better: z.enum(['less', 'more']),
    along: text.optional(),
    rows: z.array(row).min(1).readonly(),
    again: z.array(figure).readonly().optional(),
  })
  .superRefine(({ rows, again, along }, context) => {
    const wrong = (message: string): void => context.addIssue({ code: 'custom', message });
    if (new Set(rows.map(({ name, at }) => JSON.stringify([name, at]))).size < rows.length)
      wrong('two rows have the same name and place');
    if (rows.some(({ at }) => (at === undefined) !== (along === undefined)))
      wrong('rows have places if and only if their panel has an axis');
    if (
      new Set(rows.map(({ at, rounds }) => `${at}:${rounds.length}`)).size >
      new Set(rows.map(({ at }) => at)).size
    )
      wrong('rows that are compared have as many rounds as each other');
    if (again !== undefined && again.length !== rows[0]?.rounds.length)
      wrong('the baseline was measured again as often as the first time');
  });

const scenario = z
  .strictObject({
    name: text,
    question: text,
    tookMs: figure.nonnegative(),
    panels: z.array(panel).readonly(),
    outcomes: z.array(z.strictObject({ reached: z.boolean(), line: text })).readonly(),
  })
  .refine(
    ({ panels }) => new Set(panels.map(placeOf)).size === panels.length,
    'two panels have the same setting and figure',
  );

const resultFile = z
  .strictObject({
    schema: z.literal(RESULT_SCHEMA),
    date: z.iso.datetime(),
    effort: z.enum(['full', 'quick']),
    /** None: it was no working copy of git. */
    commit: z
      .strictObject({ id: z.string().regex(/^[0-9a-f]{40,64}$/), isChanged: z.boolean() })
      .nullable(),
    machine: z.strictObject({
      cpu: text,
      cores: z.int().positive(),
      memoryBytes: z.int().positive(),
      os: text,
      /** Processes that wanted a core in the last minute before the run. */
      load: figure.nonnegative(),
    }),
    versions: z.strictObject({
      node: text,
      redis: text,
      packages: z.record(text, text),
    }),
    scenarios: z.array(scenario).readonly(),
  })
  .refine(
    ({ scenarios }) => new Set(scenarios.map(({ name }) => name)).size === scenarios.length,
    'two scenarios have the same name',
  );

/** What a run of the benchmarks found, on what, with what. */
export type ResultFile = Readonly<z.infer<typeof resultFile>>;
export type ScenarioResult = ResultFile['scenarios'][number];

/** The file can't be used; the message names it and what is wrong. */
export class ResultFileError extends Error {
  override readonly name = 'ResultFileError';
}

export function placeOf({ setting, figure }: { setting: string; figure: string }): string {
  return setting === '' ? figure : `${setting}: ${figure}`;
}

/** Throws: {@link ResultFileError} for what is not there, no JSON, of another schema or not complete. */
export async function readResultFile(path: string): Promise<ResultFile> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new ResultFileError(`${path}: ${(error as Error).message}`, { cause: error });
  }
  return checkedResult(path, content);
}

/** Throws: {@link ResultFileError}; the first thing that is wrong, and where. */
export function checkedResult(path: string, content: unknown): ResultFile {
  const schema = (content as { readonly schema?: unknown } | null)?.schema;
  if (schema !== RESULT_SCHEMA)
    throw new ResultFileError(
      `${path} has schema ${JSON.stringify(schema)}, and ${RESULT_SCHEMA} is what can be read`,
    );
  const { data, error } = resultFile.safeParse(content);
  if (data !== undefined) return data;
  const [issue] = error.issues;
  throw new ResultFileError(`${path}: ${issue?.path.join('.')}: ${issue?.message}`);
}

/** Throws: {@link ResultFileError}, before anything is written that could not be read again. */
export async function writeResultFile(path: string, content: ResultFile): Promise<void> {
  checkedResult(path, JSON.parse(JSON.stringify(content)));
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify(content, null, 1)}\n`);
}
