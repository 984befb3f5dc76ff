import { read } from './repository.ts';

/** A row of a table of the cases of others, and what it says of ours. */
export interface Case {
  readonly line: string;
  readonly ours: string;
}

export interface Cited {
  readonly file: string;
  readonly title: string;
}

/** The rows of the tables of a document, without their heads. */
export function casesIn(document: string): Case[] {
  const lines = read(document)
    .split('\n')
    .filter((line) => line.startsWith('|'));
  const isHead = (i: number): boolean => /^[|-]+$/.test(lines[i + 1] ?? '');
  return lines
    .filter((line, i) => !/^[|-]+$/.test(line) && !isHead(i))
    .map((line) => ({ line, ours: line.split(' | ').at(-1)?.replace(/ \|$/, '') ?? '' }));
}

/** The tests that a cell names. `rooms`: where they are, by the word before their file. */
export function citedIn(ours: string, rooms: Readonly<Record<string, string>>): Cited[] {
  return [...ours.matchAll(/(unit |chaos )?`([a-z/-]+)`: ([^<]+)/g)].map(
    ([, room = '', name, title = '']) => ({
      file: `${rooms[room.trim()]}/${name}.test.ts`,
      title: title.trim(),
    }),
  );
}

/** Whether it says what we do, or why there is nothing. */
export function isAnswered(ours: string, rooms: Readonly<Record<string, string>>): boolean {
  return citedIn(ours, rooms).length > 0 || /\*\*Not (offered|here|yet)\*\*: /.test(ours);
}

/** Those whose test is not there. */
export function missing(cited: readonly Cited[]): Cited[] {
  return cited.filter(
    ({ file, title }) => !titles(read(file)).some((each) => each.startsWith(title)),
  );
}

/** Names of tests in a source; the name follows a table of cases, if there is one. */
const titles = (source: string): string[] =>
  [...source.matchAll(/^\s*(?:(?:test|describe)|.*\))\(\s*(['"`])(.*?)\1,/gm)].map(
    ([, , title = '']) => title,
  );
