// `npm run bench:publish -- results.json`: the pictures and the tables of the documentation.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { draw } from './charts/draw.ts';
import { NoPictureError, PICTURES, pictureOf } from './charts/pictures.ts';
import type { ThemeName } from './charts/theme.ts';
import { DocumentError, filledIn } from './documents.ts';
import { type ResultFile, ResultFileError, readResultFile } from './result-file.ts';
import { parseUsage, UsageError } from './usage-error.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const THEMES: readonly ThemeName[] = ['light', 'dark'];
/** Those with tables of figures. */
const DOCUMENTS = ['README.md', 'docs/benchmarks.md', 'docs/capacity.md'];

const HELP = `Usage: npm run bench:publish -- results.json [--to folder]

Draws docs/charts/*.svg from a file that npm run bench wrote, light and dark, and fills in the tables
of ${DOCUMENTS.join(', ')}. What the file has no figures of stays as it is.
--to: the folder that has the documents, instead of this one.
`;

process.exitCode = await publish(process.argv.slice(2));

async function publish(args: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseUsage({
      args: [...args],
      allowPositionals: true,
      options: { to: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    });
    if (values.help) {
      process.stdout.write(HELP);
      return 0;
    }
    const [path, ...others] = positionals;
    if (path === undefined || others.length > 0) throw new UsageError('one file is published');
    const file = await readResultFile(path);
    const to = values.to ?? ROOT;
    await drawAll(file, join(to, 'docs/charts'));
    for (const document of DOCUMENTS) {
      const at = join(to, document);
      const before = await readFile(at, 'utf8');
      await writeFile(at, filledIn(document, before, file, basename(path)));
      console.log(document);
    }
    return 0;
  } catch (error) {
    const isKnown = [UsageError, ResultFileError, DocumentError].some(
      (kind) => error instanceof kind,
    );
    if (!isKnown) throw error;
    console.error(`redcache bench:publish: ${(error as Error).message}`);
    return 2;
  }
}

async function drawAll(file: ResultFile, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of Object.keys(PICTURES))
    try {
      const picture = pictureOf(name, file);
      for (const theme of THEMES)
        await writeFile(join(folder, `${name}-${theme}.svg`), draw(picture, theme));
      console.log(`docs/charts/${name}-{${THEMES}}.svg`);
    } catch (error) {
      if (!(error instanceof NoPictureError)) throw error;
      console.log(error.message);
    }
}
