import { expect, test } from 'vitest';
import { seededRandom, shuffled } from '../src/demo/random.ts';
import { Zipf } from '../src/demo/zipf.ts';

const PICKS = 200_000;

function shares(ranks: number, skew: number): number[] {
  const zipf = new Zipf(ranks, skew);
  const random = seededRandom(1);
  const counts = new Array<number>(ranks).fill(0);
  for (let i = 0; i < PICKS; i += 1) {
    const rank = zipf.pick(random);
    counts[rank] = (counts[rank] as number) + 1;
  }
  return counts.map((picked) => picked / PICKS);
}

test('each rank is picked in proportion to one by its place', () => {
  const found = shares(10, 1);
  const total = found.reduce((sum, _, rank) => sum + 1 / (rank + 1), 0);
  for (const [rank, share] of found.entries()) expect(share).toBeCloseTo(1 / (rank + 1) / total, 2);
});

test('without skew all ranks are picked alike', () => {
  for (const share of shares(10, 0)) expect(share).toBeCloseTo(0.1, 2);
});

test('picks are ranks, at both ends of the random numbers', () => {
  const zipf = new Zipf(7, 1);
  expect(zipf.pick(() => 0)).toBe(0);
  expect(zipf.pick(() => 1 - 2 ** -32)).toBe(6);
  expect(new Zipf(1, 1).pick(() => 0.5)).toBe(0);
});

test('the same seed gives the same picks, another seed others', () => {
  const picks = (seed: number): number[] => {
    const zipf = new Zipf(250, 1);
    const random = seededRandom(seed);
    return Array.from({ length: 50 }, () => zipf.pick(random));
  };
  expect(picks(5)).toEqual(picks(5));
  expect(picks(5)).not.toEqual(picks(6));
});

test('a shuffle keeps every value and depends on the seed', () => {
  const values = Array.from({ length: 100 }, (_, i) => i);
  const order = shuffled(values, seededRandom(1));
  expect(order).not.toEqual(values);
  expect(order.toSorted((a, b) => a - b)).toEqual(values);
  expect(shuffled(values, seededRandom(1))).toEqual(order);
  expect(shuffled(values, seededRandom(2))).not.toEqual(order);
});
