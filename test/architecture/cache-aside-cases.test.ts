import { expect, test } from 'vitest';
import { casesIn, citedIn, isAnswered, missing } from './cases.ts';

const DOCUMENT = 'docs/cache-aside-cases.md';
const ROOMS = {
  '': 'test/integration/cache-aside',
  unit: 'packages/cache-aside/test',
};

test('every case has a test of ours, or says why there is none', () => {
  const all = casesIn(DOCUMENT);
  expect(all.length).toBeGreaterThan(100);
  for (const { line, ours } of all) expect(isAnswered(ours, ROOMS), line).toBe(true);
});

test('every test that is named is there', () => {
  const named = casesIn(DOCUMENT).flatMap(({ ours }) => citedIn(ours, ROOMS));
  expect(named.length).toBeGreaterThan(100);
  expect(missing(named)).toEqual([]);
});
