import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { anyLife, emptyTally, live } from './life.ts';
import { KEYS, type Setting, type Step } from './steps.ts';

const LIVES = 4_000;
/** Little more than half of what that many lives have; npm test is to see no fewer. */
const FEWEST_STEPS = 100_000;

const unhandled: unknown[] = [];
const note = (reason: unknown): void => void unhandled.push(reason);
beforeEach(() => void process.on('unhandledRejection', note));
afterEach(() => {
  process.off('unhandledRejection', note);
  expect(unhandled.splice(0)).toEqual([]);
});

test('I1–I6, I12 and I14 hold in whatever order things happen, and things are kept', async () => {
  const tally = emptyTally();
  await fc.assert(anyLife(tally), { numRuns: LIVES });
  expect(tally.steps).toBeGreaterThan(FEWEST_STEPS);
  // Otherwise an engine that keeps nothing, or that is never disturbed, would have passed.
  for (const count of Object.values(tally)) expect(count).toBeGreaterThan(300);
}, 180_000);

const CALM: Setting = {
  nodes: 1,
  connections: 1,
  mode: 'default',
  noLoop: false,
  maxStaleness: 100,
  replaceSilent: true,
  store: 'lru',
  listeners: undefined,
  evictedThrows: false,
};

test.for<Partial<Setting>>([
  {},
  { connections: 3 },
  { nodes: 2, connections: 2 },
  { mode: 'optin' },
  { mode: { broadcast: [''] } },
  { noLoop: true },
  { maxStaleness: false },
])('what nothing disturbs is kept, however long it is left alone: %o', async (other) => {
  const tally = emptyTally();
  const read = (by: number): Step[] =>
    KEYS.flatMap((key): Step[] => [
      { is: 'read', key, rest: 'GET', by },
      { is: 'pass', byMs: 10 },
    ]);
  await live({ ...CALM, ...other }, [...read(0), { is: 'pass', byMs: 150 }, ...read(1)], tally);
  expect(tally).toMatchObject({ hits: KEYS.length, fills: KEYS.length, refusedFills: 0 });
  expect(tally).toMatchObject({ reconnects: 0, silences: 0 });
});
