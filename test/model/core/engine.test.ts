import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Step, World } from './world.ts';

const KEYS = ['a', 'b', 'c', 'd'] as const;
const key = fc.constantFrom('a', 'a', 'a', 'b', 'b', 'c', 'd');
const ms = fc.constantFrom(1, 5, 10, 20, 30, 50);

const steps: readonly (readonly [weight: number, fc.Arbitrary<Step>])[] = [
  [16, fc.record({ is: fc.constantFrom('read', 'read', 'lookup'), key })],
  [16, fc.record({ is: fc.constant('execute'), commands: fc.integer({ min: 1, max: 6 }) })],
  [16, fc.record({ is: fc.constant('deliver'), frames: fc.integer({ min: 1, max: 6 }) })],
  [5, fc.record({ is: fc.constant('own-script'), key })],
  [2, fc.record({ is: fc.constant('own-write'), key })],
  [5, fc.record({ is: fc.constant('write'), key, ttlMs: fc.constantFrom(undefined, 10, 30) })],
  [1, fc.record({ is: fc.constant('delete'), key })],
  [1, fc.record({ is: fc.constant('write-two'), keys: fc.constantFrom(['a', 'b'], ['b', 'c']) })],
  [1, fc.record({ is: fc.constantFrom('flush', 'flush', 'clear', 'disconnect') })],
  [1, fc.record({ is: fc.constant('expire-actively') })],
  [1, fc.record({ is: fc.constant('connect'), refused: fc.constantFrom(false, false, true) })],
  [3, fc.record({ is: fc.constantFrom('advance', 'jump'), byMs: ms })],
];
const step = fc.oneof(...steps.map(([weight, arbitrary]) => ({ weight, arbitrary })));

const START: readonly Step[] = [
  { is: 'connect', refused: false },
  { is: 'execute', commands: 1 },
  { is: 'deliver', frames: 1 },
];

test('I1, I2, I3, I12 hold in whatever order things happen, and things are kept', async () => {
  const total = { hits: 0, fills: 0, refusedFills: 0, coalesced: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 20, maxLength: 80, size: 'max' }),
      async (steps) => {
        const world = new World(KEYS);
        for (const each of [...START, ...steps]) {
          await world.run(each);
          expect(world.wrong).toEqual([]);
        }
        await world.finish();
        expect(world.wrong).toEqual([]);
        const { guards, flights } = world.cache.internals;
        expect([guards.size, flights.size]).toEqual([0, 0]);
        const stats = world.cache.stats();
        for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += stats[name];
      },
    ),
    { numRuns: 3_000 },
  );
  // Otherwise an engine that keeps nothing would have passed.
  for (const count of Object.values(total)) expect(count).toBeGreaterThan(1_000);
});

test('what nothing disturbs is kept: every key read twice is one miss and one hit', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.constantFrom(...KEYS), { minLength: 1, maxLength: 3 }),
      async (keys) => {
        const world = new World(KEYS);
        for (const each of START) await world.run(each);
        for (const each of keys) await world.run({ is: 'read', key: each });
        await world.run({ is: 'execute', commands: 100 });
        await world.run({ is: 'deliver', frames: 100 });
        for (const each of keys) await world.run({ is: 'read', key: each });
        expect(world.client.sent).toEqual([]);
        expect(world.wrong).toEqual([]);
        expect(world.cache.stats()).toMatchObject({ hits: keys.length, misses: keys.length });
      },
    ),
    { numRuns: 200 },
  );
});
