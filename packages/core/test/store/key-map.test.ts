import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KeyMap, partNumber } from '../../src/store/key-map.ts';

/** One more and it begins to fall into parts. */
const WHOLE = 65_536;
/** So many more and it has fallen into them: 64 are moved with each. */
const MOVED = WHOLE / 64 + 2;

interface Numbered {
  readonly n: number;
}

function filled(keys: number): KeyMap<Numbered> {
  const map = new KeyMap<Numbered>();
  for (let n = 0; n < keys; n += 1) map.set(`key:${n}`, { n });
  return map;
}

/** What is said of a map, in an order of its own. */
const contentOf = (map: KeyMap<Numbered>): number[] =>
  [...map.values()].map(({ n }) => n).toSorted((a, b) => a - b);

const BEGINNINGS = [0, WHOLE - 20, WHOLE, WHOLE + 1, WHOLE + 500, WHOLE + MOVED];
describe.for(BEGINNINGS)('with %i keys', (keys) => {
  test('it is as any other map, whatever is set and deleted', () => {
    const operation = fc.record({
      is: fc.constantFrom('set', 'delete', 'get'),
      // Of those moved first, of those moved last, and new ones.
      key: fc
        .oneof(
          fc.integer({ min: 0, max: 30 }),
          fc.integer({ min: WHOLE - 30, max: WHOLE + 60 }),
          fc.integer({ min: WHOLE + MOVED, max: WHOLE + MOVED + 60 }),
        )
        .map((n) => `key:${n}`),
    });
    const map = filled(keys);
    const model = new Map(Array.from({ length: keys }, (_, n) => [`key:${n}`, { n }]));
    let values = WHOLE * 2;
    fc.assert(
      fc.property(fc.array(operation, { minLength: 20, maxLength: 40 }), (operations) => {
        for (const { is, key } of operations) {
          if (is === 'set') {
            const value = { n: values };
            map.set(key, value);
            model.set(key, value);
            values += 1;
          } else if (is === 'delete') expect(map.delete(key)).toBe(model.delete(key));
          expect(map.get(key)?.n).toBe(model.get(key)?.n);
          expect(map.size).toBe(model.size);
        }
      }),
      { numRuns: 50 },
    );
    expect(contentOf(map)).toEqual([...model.values()].map(({ n }) => n).toSorted((a, b) => a - b));
  });
});

test.for([WHOLE + 1, WHOLE + 500, WHOLE + MOVED])(
  'of %i keys it is one again when everything is gone, and may grow anew',
  (keys) => {
    const map = filled(keys);
    for (let round = 0; round < 2; round += 1) {
      for (let n = 0; n < keys; n += 1) expect(map.delete(`key:${n}`)).toBe(true);
      expect(map.size).toBe(0);
      expect(contentOf(map)).toEqual([]);
      for (let n = 0; n < keys; n += 1) map.set(`key:${n}`, { n });
      expect(map.size).toBe(keys);
      expect(contentOf(map)).toEqual(Array.from({ length: keys }, (_, n) => n));
    }
  },
);

describe('whoever goes through it', () => {
  test.for([WHOLE, WHOLE + 1, WHOLE + MOVED])(
    'of %i keys comes upon everything that stays, and upon nothing that was removed',
    (keys) => {
      const map = filled(keys);
      const seen = new Set<number>();
      for (const { n } of map.values()) {
        expect(map.get(`key:${n}`)?.n).toBe(n);
        seen.add(n);
        map.delete(`key:${(n + 1_000) % keys}`);
      }
      const left = contentOf(map);
      expect(left.length).toBeLessThan(keys);
      expect(left.filter((n) => !seen.has(n))).toEqual([]);
    },
  );

  test('comes upon everything that was there, though it falls into parts meanwhile', () => {
    const map = filled(WHOLE);
    const seen = new Set<number>();
    let more = WHOLE;
    for (const { n } of map.values()) {
      seen.add(n);
      if (more >= WHOLE + 2 * MOVED) continue;
      map.set(`key:${more}`, { n: more });
      more += 1;
    }
    for (let n = 0; n < WHOLE; n += 1) expect(seen.has(n)).toBe(true);
    expect(map.size).toBe(more);
  });
});

test.for([
  (i: number) => `user:${i}`,
  (i: number) => `user:${i}:profile`,
  (i: number) => `${i}:{tenant}:settings`,
  (i: number) => `catalogue/${i.toString(36)}`,
  (i: number) => `${'x'.repeat(60)}${String(i).padStart(20, '0')}${'y'.repeat(40)}`,
])('keys of one kind are in all parts, none of which has more than twice its share', (keyOf) => {
  const keys = 64_000;
  const parts = Array.from({ length: 64 }, () => 0);
  for (let i = 0; i < keys; i += 1) {
    const part = partNumber(keyOf(i));
    parts[part] = (parts[part] as number) + 1;
  }
  expect(Math.max(...parts)).toBeLessThan(2 * (keys / 64));
  expect(Math.min(...parts)).toBeGreaterThan(0);
});
