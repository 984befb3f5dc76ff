import { expect, test } from 'vitest';
import { LruPolicy } from '../../../src/store/policies/lru.ts';
import { type Filed, filed } from './filed.ts';

test('without a hit the one that was filed first leaves first', () => {
  const policy = new LruPolicy<Filed>();
  for (const entry of filed('a', 'b', 'c')) policy.add(entry);
  expect(policy.victim()?.name).toBe('a');
});

test('a hit makes an entry the last to leave, wherever it stood', () => {
  for (const hit of [0, 1, 2]) {
    const policy = new LruPolicy<Filed>();
    const entries = filed('a', 'b', 'c');
    for (const entry of entries) policy.add(entry);
    policy.touch(entries[hit] as Filed);
    const order = [];
    for (let next = policy.victim(); next !== undefined; next = policy.victim()) {
      order.push(next);
      policy.remove(next);
    }
    const others = entries.filter((_, i) => i !== hit);
    expect(order).toEqual([...others, entries[hit]]);
  }
});

test('a hit of what is in no store files nothing', () => {
  const policy = new LruPolicy<Filed>();
  const [stranger] = filed('stranger');
  policy.touch(stranger as Filed);
  expect(policy.victim()).toBeUndefined();
});
