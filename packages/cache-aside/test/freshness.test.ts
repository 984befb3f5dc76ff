import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FOREIGN_HEADER, headerOf } from '../src/envelope.ts';
import { ageMs, freshnessLeftMs } from '../src/freshness.ts';

const ms = fc.integer({ min: 0, max: 10 ** 12 });

test('age and freshness left are the TTL together, as long as it is fresh', () => {
  fc.assert(
    fc.property(ms, ms, ms, (ttlMs, tailMs, passedMs) => {
      const header = headerOf({ ttlMs, tailMs, loadMs: 0 });
      const remaining = ttlMs + tailMs - passedMs;
      expect(freshnessLeftMs(header, remaining)).toBe(ttlMs - passedMs);
      expect(ageMs(header, remaining)).toBe(passedMs);
    }),
  );
});

test('in its tail it is stale, and by how much', () => {
  const header = headerOf({ ttlMs: 1_000, tailMs: 500, loadMs: 0 });
  expect(freshnessLeftMs(header, 500)).toBe(0);
  expect(freshnessLeftMs(header, 200)).toBe(-300);
});

test('what was given a longer life is fresh for longer, and never younger than new', () => {
  const header = headerOf({ ttlMs: 1_000, tailMs: 500, loadMs: 0 });
  expect(freshnessLeftMs(header, 9_500)).toBe(9_000);
  expect(ageMs(header, 9_500)).toBe(0);
});

test('a key whose end was taken away: a value of ours is good for its TTL from now on', () => {
  const header = headerOf({ ttlMs: 1_000, tailMs: 500, loadMs: 0 });
  expect(freshnessLeftMs(header, 'none')).toBe(1_000);
  expect(ageMs(header, 'none')).toBe(0);
});

test("another program's value is fresh for as long as its key lives", () => {
  expect(freshnessLeftMs(FOREIGN_HEADER, 700)).toBe(700);
  expect(freshnessLeftMs(FOREIGN_HEADER, 'none')).toBe('none');
  expect(ageMs(FOREIGN_HEADER, 700)).toBe(0);
});
