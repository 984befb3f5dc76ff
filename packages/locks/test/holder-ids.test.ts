import { expect, test } from 'vitest';
import { newHolder } from '../src/holder-ids.ts';

/** Version 7, variant 10. */
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test('holder ids are UUIDs of version 7, each once, in the order in which they were made', () => {
  const ids = Array.from({ length: 5_000 }, newHolder);
  for (const id of ids) expect(id).toMatch(UUID_V7);
  expect(new Set(ids).size).toBe(ids.length);
  expect([...ids].sort()).toEqual(ids);
});

test('a holder id begins with the time at which it was made', () => {
  const beforeMs = Date.now();
  const ms = Number.parseInt(newHolder().replaceAll('-', '').slice(0, 12), 16);
  expect(ms).toBeGreaterThanOrEqual(beforeMs - 1);
  // The generator may be ahead of a clock that was set back.
  expect(ms).toBeLessThanOrEqual(Date.now() + 10_000);
});
