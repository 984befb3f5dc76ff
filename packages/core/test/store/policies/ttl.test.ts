import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TtlPolicy } from '../../../src/store/policies/ttl.ts';
import type { EvictionPolicy } from '../../../src/store/policy.ts';
import { Filed } from './filed.ts';

const deadlines = fc.array(
  fc.oneof(
    fc.constant(Number.POSITIVE_INFINITY),
    fc.integer({ min: 0, max: 30 }),
    fc.double({ min: 0, max: 30, noNaN: true }),
  ),
  { maxLength: 100, size: 'max' },
);

test('the soonest to expire leaves first, also when others leave in between', () => {
  fc.assert(
    fc.property(deadlines, fc.infiniteStream(fc.nat()), (given, dice) => {
      const policy = new TtlPolicy<Filed>();
      let members = given.map((deadlineAtMs) => new Filed('', deadlineAtMs));
      for (const entry of members) policy.add(entry);
      while (members.length > 0) {
        const soonest = Math.min(...members.map(({ deadlineAtMs }) => deadlineAtMs));
        expect(policy.victim()?.deadlineAtMs).toBe(soonest);
        const leaver = members[dice.next().value % members.length] as Filed;
        policy.remove(leaver);
        members = members.filter((entry) => entry !== leaver);
      }
      expect(policy.victim()).toBeUndefined();
    }),
  );
});

test('the one that takes the place of a leaver may belong above it', () => {
  const policy = new TtlPolicy<Filed>();
  const deadlinesAtMs = [0, 10, 1, 20, 21, 2, 22, 23, 24, 25, 26, 3];
  const entries = deadlinesAtMs.map((deadlineAtMs) => new Filed('', deadlineAtMs));
  for (const entry of entries) policy.add(entry);
  policy.remove(entries[7] as Filed);
  const order = [];
  for (let next = policy.victim(); next !== undefined; next = policy.victim()) {
    order.push(next.deadlineAtMs);
    policy.remove(next);
  }
  expect(order).toEqual([0, 1, 2, 3, 10, 20, 21, 22, 24, 25, 26]);
});

test('of those that end at the same time or never, the one filed first leaves first', () => {
  const policy = new TtlPolicy<Filed>();
  const entries = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => new Filed(name));
  for (const entry of entries) policy.add(entry);
  for (const expected of entries) {
    expect(policy.victim()).toBe(expected);
    policy.remove(expected);
  }
});

test('hits change nothing', () => {
  const policy: EvictionPolicy<Filed> = new TtlPolicy();
  const [soon, late] = [new Filed('soon', 1), new Filed('late', 2)];
  policy.add(late);
  policy.add(soon);
  for (let i = 0; i < 100; i += 1) policy.touch(soon);
  expect(policy.victim()).toBe(soon);
});
