import { LRUCache } from 'lru-cache';
import { expect, test } from 'vitest';

// Why deadlines are ours: the day this fails, lru-cache looks at the clock in `get`.
test('R16: lru-cache answers an entry past its ttl while the loop is blocked', () => {
  const lru = new LRUCache<string, string>({ max: 10, ttl: 20 });
  lru.set('k', 'v');
  lru.get('k'); // it has read the clock now, and trusts a timer to tell when to read it again
  const untilMs = performance.now() + 60;
  while (performance.now() < untilMs);
  expect(lru.get('k')).toBe('v');
});
