import { describe, expect, test } from 'vitest';
import { Staleness } from '../src/demo/staleness.ts';

function confirmed(...confirmations: readonly [version: number, atMs: number][]): Staleness {
  const staleness = new Staleness();
  for (const [version, atMs] of confirmations) staleness.confirm('k', version, atMs);
  return staleness;
}

describe('a read of an old version', () => {
  test('is late by the time since the newer one was confirmed', () => {
    expect(confirmed([2, 100]).latenessMs('k', 1, 130)).toBe(30);
  });

  test('is late since the first of all newer versions, not since the last', () => {
    const staleness = confirmed([2, 100], [3, 200], [4, 300]);
    expect(staleness.latenessMs('k', 1, 310)).toBe(210);
    expect(staleness.latenessMs('k', 2, 310)).toBe(110);
    expect(staleness.latenessMs('k', 3, 310)).toBe(10);
  });

  test('is late when a version between was never confirmed but a newer one was', () => {
    expect(confirmed([2, 100], [5, 200]).latenessMs('k', 3, 250)).toBe(50);
  });

  test('is found among thousands of fresh reads', () => {
    const staleness = confirmed([2, 100]);
    const versions = Array.from({ length: 10_000 }, (_, i) => (i === 7_777 ? 1 : 2));
    const late = versions.filter((version) => staleness.latenessMs('k', version, 101) > 0);
    expect(late).toEqual([1]);
  });
});

describe('a read is not late', () => {
  test('when it began before the confirmation, or in the same moment', () => {
    expect(confirmed([2, 100]).latenessMs('k', 1, 99)).toBe(0);
    expect(confirmed([2, 100]).latenessMs('k', 1, 100)).toBe(0);
  });

  test('when it answers the confirmed version, or one that is not confirmed yet', () => {
    expect(confirmed([2, 100]).latenessMs('k', 2, 500)).toBe(0);
    expect(confirmed([2, 100]).latenessMs('k', 3, 500)).toBe(0);
  });

  test('when nothing of its key was confirmed', () => {
    expect(confirmed([2, 100]).latenessMs('other', 1, 500)).toBe(0);
    expect(new Staleness().latenessMs('k', 1, 500)).toBe(0);
  });
});

test('refuses confirmations of one key out of order, which it could not judge by', () => {
  expect(() => confirmed([3, 100], [2, 200])).toThrow('version 2');
});
