import { expect, test } from 'vitest';
import { read } from './repository.ts';

const DOCUMENT = 'docs/lock-cases.md';

interface Row {
  readonly line: string;
  readonly ours: string;
}

/** The rows of the tables, without their heads. */
function rows(document: string): Row[] {
  const lines = document.split('\n').filter((line) => line.startsWith('|'));
  const isHead = (i: number): boolean => /^[|-]+$/.test(lines[i + 1] ?? '');
  return lines
    .filter((line, i) => !/^[|-]+$/.test(line) && !isHead(i))
    .map((line) => ({ line, ours: line.split(' | ').at(-1)?.replace(/ \|$/, '') ?? '' }));
}

/** Where tests are that are cited with this word before their file. */
const ROOMS: Readonly<Record<string, string>> = {
  '': 'test/integration/locks',
  unit: 'packages/locks/test',
  chaos: 'test/chaos/locks',
};

interface Cited {
  readonly file: string;
  readonly title: string;
}

/** The tests that a cell names. */
function cited(ours: string): Cited[] {
  return [...ours.matchAll(/(unit |chaos )?`([a-z-]+)`: ([^<]+)/g)].map(
    ([, room = '', name, title = '']) => ({
      file: `${ROOMS[room.trim()]}/${name}.test.ts`,
      title: title.trim(),
    }),
  );
}

/** Names of tests in a source; the name follows a table of cases, if there is one. */
const titles = (source: string): string[] =>
  [...source.matchAll(/^\s*(?:(?:test|describe)|.*\))\(\s*(['`])(.*?)\1,/gm)].map(
    ([, , title = '']) => title,
  );

test('every case has a test of ours, or says why there is none', () => {
  const all = rows(read(DOCUMENT));
  expect(all.length).toBeGreaterThan(50);
  for (const { line, ours } of all)
    expect(cited(ours).length > 0 || /\*\*Not (offered|here|yet)\*\*: /.test(ours), line).toBe(
      true,
    );
});

test('every test that is named is there', () => {
  const named = rows(read(DOCUMENT)).flatMap(({ ours }) => cited(ours));
  expect(named.length).toBeGreaterThan(50);
  const missing = named.filter(
    ({ file, title }) => !titles(read(file)).some((each) => each.startsWith(title)),
  );
  expect(missing).toEqual([]);
});
