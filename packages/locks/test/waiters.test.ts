import { expect, test } from 'vitest';
import { Waiters } from '../src/waiters.ts';

function line(waiters: Waiters, names: string, turns: string[] = []) {
  return {
    turns,
    places: [...names].map((name) => waiters.enter('k', () => void turns.push(name))),
  };
}

test('the first to come is first, and is not told so', () => {
  const { places, turns } = line(new Waiters(), 'ab');
  expect(places.map(({ isFirst }) => isFirst)).toEqual([true, false]);
  expect(turns).toEqual([]);
});

test('each has its turn when those before have left, in the order in which they came', () => {
  const { places, turns } = line(new Waiters(), 'abcd');
  places[2]?.leave();
  places[0]?.leave();
  places[1]?.leave();
  expect(turns).toEqual(['b', 'd']);
  expect(places[3]?.isFirst).toBe(true);
});

test('leaving twice gives nobody a second turn', () => {
  const { places, turns } = line(new Waiters(), 'abc');
  places[0]?.leave();
  places[0]?.leave();
  expect(turns).toEqual(['b']);
});

test('a queue that all have left is forgotten, and a new one begins', () => {
  const waiters = new Waiters();
  const { places } = line(waiters, 'ab');
  for (const place of places) place.leave();
  expect(waiters.keys).toBe(0);
  expect(waiters.enter('k', () => {}).isFirst).toBe(true);
});

test('queues of different keys have nothing to do with each other', () => {
  const waiters = new Waiters();
  waiters.enter('a', () => {});
  expect(waiters.enter('b', () => {}).isFirst).toBe(true);
});
