import { expect, test } from 'vitest';
import { chosenOf } from '../src/chosen.ts';
import { UsageError } from '../src/usage-error.ts';

const all = ['hit', 'hit-by-size', 'locks-idle', 'locks-across'].map((name) => ({ name }));
const chosen = (...words: string[]): string[] => chosenOf(all, words).map(({ name }) => name);

test('without a word all are meant', () => {
  expect(chosen()).toEqual(all.map(({ name }) => name));
});

test('a word means all names that have it as a part, in the order in which they are run', () => {
  expect(chosen('across', 'locks')).toEqual(['locks-idle', 'locks-across']);
});

test('a whole name means itself alone', () => {
  expect(chosen('hit')).toEqual(['hit']);
});

test('a word that is in no name is a mistake', () => {
  expect(() => chosen('hit', 'nothing')).toThrow(UsageError);
});
