import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Sources } from './rooms.ts';

export const ROOT: string = fileURLToPath(new URL('../..', import.meta.url));
export const PACKAGES = ['core', 'locks', 'cache-aside'] as const;

export const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** The sources of a package of this workspace. */
export function sourcesOf(name: string): Sources {
  const folder = join(ROOT, 'packages', name, 'src');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return new Map(
    files
      .filter((file) => file.endsWith('.ts'))
      .sort()
      .map((file) => [file.split(sep).join('/'), readFileSync(join(folder, file), 'utf8')]),
  );
}

/** The text files that git tracks or would add, by their path from the root. */
export function textFiles(): Map<string, string> {
  const listed = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  const texts = new Map<string, string>();
  for (const path of new Set(listed.split('\0').filter(Boolean))) {
    const text = readIfThere(path);
    // A NUL byte never stands in a text.
    if (text !== undefined && !text.includes('\0')) texts.set(path, text);
  }
  return texts;
}

/** A file that is listed but deleted from the work tree, or a link to a folder, has no text. */
function readIfThere(path: string): string | undefined {
  try {
    return read(path);
  } catch {
    return undefined;
  }
}
