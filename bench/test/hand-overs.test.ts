import { expect, test } from 'vitest';
import { HandOvers } from '../src/hand-overs.ts';

test('a hand-over lasts from the call of release to the next holder; the first holder has none', () => {
  const handOvers = new HandOvers();
  handOvers.entered(100);
  handOvers.givingBack(150);
  handOvers.entered(152);
  handOvers.givingBack(202);
  handOvers.entered(207);
  expect(handOvers.latenciesMs).toEqual([2, 5]);
});

test('two holders at a time are no lock', () => {
  const handOvers = new HandOvers();
  handOvers.entered(1);
  expect(() => handOvers.entered(2)).toThrow('two hold one lock');
});
