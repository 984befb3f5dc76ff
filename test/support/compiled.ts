import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packageRoot } from './package-root.ts';

const root = fileURLToPath(packageRoot);
const BUILD = 'Run the build (`tsc -b` in the root) and try again.';
const FOLDERS = ['children', 'support'];

/**
 * The compiled file of `children/<name>`, for a plain Node to run.
 *
 * Throws: if it, or anything in the folders it may import from, was not compiled from the source as
 * it stands now. Contents are compared, not times: a check-out or a build cache changes times only.
 */
export function compiledChild(name: string): string {
  const file = join(root, 'dist/children', name.replace(/\.ts$/, '.js'));
  if (!existsSync(file)) throw new Error(`${file} is missing. ${BUILD}`);
  for (const folder of FOLDERS) {
    const stale = staleIn(join(root, 'dist', folder));
    if (stale !== undefined) throw new Error(`${stale} has changed since it was built. ${BUILD}`);
  }
  return file;
}

/** The first source that differs from what was compiled; its text stands in the source map. */
function staleIn(folder: string): string | undefined {
  for (const name of readdirSync(folder)) {
    if (!name.endsWith('.js.map')) continue;
    const { sources, sourcesContent } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as {
      sources: string[];
      sourcesContent?: (string | null)[];
    };
    for (const [i, source] of sources.entries()) {
      const file = join(dirname(join(folder, name)), source);
      const compiled = sourcesContent?.[i];
      if (compiled === undefined || compiled === null)
        throw new Error(`${join(folder, name)} does not hold its source: set inlineSources`);
      // A source that is gone leaves its output behind, which nothing imports.
      if (existsSync(file) && readFileSync(file, 'utf8') !== compiled) return file;
    }
  }
  return undefined;
}
