import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  freeInMs,
  leaderOf,
  majorityOf,
  type Outcome,
  outcomeOf,
  standsForMs,
  type Vote,
} from '../src/quorum/majority.ts';

/** One letter for each vote there is: granted, held, failed. */
function votes(letters: string, remainingMs: readonly number[] = []): Vote[] {
  const left = [...remainingMs];
  return [...letters].map((letter, server): Vote => {
    if (letter === 'g') return { server, vote: 'granted', answer: undefined };
    if (letter === 'h') return { server, vote: 'held', remainingMs: left.shift() ?? 100 };
    return { server, vote: 'failed', error: new Error('down') };
  });
}

test.for([
  [1, 1],
  [2, 2],
  [3, 2],
  [4, 3],
  [5, 3],
  [19, 10],
] as const)('of %d servers %d are a majority', ([servers, majority]) => {
  expect(majorityOf(servers)).toBe(majority);
});

test.for<[servers: number, letters: string, outcome: Outcome | undefined]>([
  [3, '', undefined],
  [3, 'g', undefined],
  [3, 'gg', 'granted'],
  [3, 'hgg', 'granted'],
  [3, 'fgg', 'granted'],
  [3, 'gh', undefined],
  [3, 'hh', 'held'],
  [3, 'ghh', 'held'],
  [3, 'fhh', 'held'],
  [3, 'ff', undefined],
  [3, 'ffg', 'failed'],
  [3, 'ffh', 'failed'],
  [3, 'fff', 'failed'],
  [3, 'ghf', 'split'],
  [5, 'ggh', undefined],
  [5, 'gghg', 'granted'],
  [5, 'gghhf', 'split'],
  [5, 'gghhh', 'held'],
  [5, 'gfffg', 'failed'],
  [5, 'ghhff', 'split'],
  [2, 'g', undefined],
  [2, 'h', 'held'],
  [2, 'gf', 'failed'],
  [2, 'gg', 'granted'],
  [4, 'ggh', undefined],
  [4, 'gghf', 'split'],
  [4, 'hh', 'held'],
  [4, 'ffhh', 'held'],
])('of %d servers the votes "%s" decide: %s', ([servers, letters, outcome]) => {
  expect(outcomeOf(votes(letters), servers)).toBe(outcome);
});

const ballot = fc
  .integer({ min: 2, max: 7 })
  .chain((servers) =>
    fc.string({ unit: fc.constantFrom('g', 'h', 'f'), minLength: servers, maxLength: servers }),
  );

test('what is decided early is what all votes decide, whoever answers last', () => {
  fc.assert(
    fc.property(ballot, fc.nat(7), (letters, heard) => {
      const early = outcomeOf(votes(letters.slice(0, heard)), letters.length);
      if (early !== undefined) expect(outcomeOf(votes(letters), letters.length)).toBe(early);
    }),
  );
});

test('two never have a majority of the same servers', () => {
  fc.assert(
    fc.property(ballot, (letters) => {
      const others = letters.replaceAll(/[gh]/g, (letter) => (letter === 'g' ? 'h' : 'g'));
      const both = [letters, others].map((each) => outcomeOf(votes(each), letters.length));
      expect(both).not.toEqual(['granted', 'granted']);
    }),
  );
});

test.for<[servers: number, letters: string, remainingMs: number[], freeIn: number]>([
  // Two more are needed: when the second of them has had its time.
  [3, 'hhh', [300, 100, 200], 200],
  [3, 'ghh', [300, 100], 100],
  [3, 'fhh', [300, 100], 300],
  // The third has not answered: it may be free.
  [3, 'hh', [300, 100], 100],
  [5, 'hhhhh', [5, 4, 3, 2, 1], 3],
  [3, 'hhh', [-1, 100, -1], Infinity],
  [3, 'hhh', [-1, 100, 200], 200],
  [4, 'ffhh', [100, 200], Infinity],
])('of %d servers, voting "%s" %j, a majority may be free in %d ms', (row) => {
  const [servers, letters, remainingMs, freeIn] = row;
  expect(freeInMs(votes(letters, remainingMs), servers)).toBe(freeIn);
});

test.for<[servers: number, remainingMs: number[], standsFor: number]>([
  [3, [100, 200, 300], 200],
  [3, [100, 300], 100],
  [3, [Infinity, 50, 60], 60],
  [3, [100], 0],
  [5, [1, 2, 3, 4, 5], 3],
])('a majority of %d that stand for %j ms stands for %d', ([servers, remainingMs, standsFor]) => {
  expect(standsForMs(remainingMs, servers)).toBe(standsFor);
});

test('who is there often enough is found, and nobody who is not', () => {
  expect(leaderOf(['a', 'b', 'a'], 3)).toBe('a');
  expect(leaderOf(['a', 'b', 'c'], 3)).toBe(undefined);
  expect(leaderOf(['a', 'a'], 5)).toBe(undefined);
  expect(leaderOf([undefined, undefined, 'a'], 3)).toBe(undefined);
});
