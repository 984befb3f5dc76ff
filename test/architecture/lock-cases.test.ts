import { expect, test } from 'vitest';
import { casesIn, citedIn, isAnswered, missing } from './cases.ts';

const DOCUMENT = 'docs/lock-cases.md';
const ROOMS = {
  '': 'test/integration/locks',
  unit: 'packages/locks/test',
  chaos: 'test/chaos/locks',
};

test('every case has a test of ours, or says why there is none', () => {
  const all = casesIn(DOCUMENT);
  expect(all.length).toBeGreaterThan(50);
  for (const { line, ours } of all) expect(isAnswered(ours, ROOMS), line).toBe(true);
});

test('every test that is named is there', () => {
  const named = casesIn(DOCUMENT).flatMap(({ ours }) => citedIn(ours, ROOMS));
  expect(named.length).toBeGreaterThan(50);
  expect(missing(named)).toEqual([]);
});
