import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KeyMap, partNumber } from '../../src/store/key-map.ts';

/** One more and it falls into parts. */
const WHOLE = 65_536;

function filled(keys: number): KeyMap<number> {
  const map = new KeyMap<number>();
  for (let i = 0; i < keys; i += 1) map.set(`key:${i}`, i);
  return map;
}

/** What is said of a map, in an order of its own. */
const contentOf = (map: KeyMap<number>): number[] => [...map.values()].toSorted((a, b) => a - b);

describe.for([0, WHOLE - 20, WHOLE, WHOLE + 1, WHOLE + 20])('with %i keys', (keys) => {
  test('it is as any other map, whatever is set and deleted', () => {
    const operation = fc.record({
      is: fc.constantFrom('set', 'delete', 'get'),
      // Old ones, and new ones.
      key: fc.integer({ min: WHOLE - 30, max: WHOLE + 60 }).map((i) => `key:${i}`),
    });
    const map = filled(keys);
    const model = new Map(Array.from({ length: keys }, (_, i) => [`key:${i}`, i]));
    let values = keys;
    fc.assert(
      fc.property(fc.array(operation, { minLength: 20, maxLength: 40 }), (operations) => {
        for (const { is, key } of operations) {
          if (is === 'set') {
            map.set(key, values);
            model.set(key, values);
            values += 1;
          } else if (is === 'delete') expect(map.delete(key)).toBe(model.delete(key));
          expect(map.get(key)).toBe(model.get(key));
          expect(map.size).toBe(model.size);
        }
      }),
      { numRuns: 50 },
    );
    expect(contentOf(map)).toEqual([...model.values()].toSorted((a, b) => a - b));
  });
});

test('it is one again when everything is gone, and may grow anew', () => {
  const map = filled(WHOLE + 1);
  for (let round = 0; round < 2; round += 1) {
    for (let i = 0; i <= WHOLE; i += 1) expect(map.delete(`key:${i}`)).toBe(true);
    expect(map.size).toBe(0);
    expect(contentOf(map)).toEqual([]);
    for (let i = 0; i <= WHOLE; i += 1) map.set(`key:${i}`, i);
    expect(map.size).toBe(WHOLE + 1);
    expect(contentOf(map)).toEqual(Array.from({ length: WHOLE + 1 }, (_, i) => i));
  }
});

describe('whoever goes through it', () => {
  test('does not come upon what was removed, nor twice upon anything', () => {
    const map = filled(WHOLE + 1);
    const seen: number[] = [];
    for (const value of map.values()) {
      expect(map.get(`key:${value}`)).toBe(value);
      seen.push(value);
      map.delete(`key:${(value + 1_000) % (WHOLE + 1)}`);
    }
    const left = contentOf(map);
    expect(left.length).toBeLessThan(WHOLE);
    const reached = new Set(seen);
    expect(reached.size).toBe(seen.length);
    expect(left.filter((value) => !reached.has(value))).toEqual([]);
  });

  test('comes upon nothing more when it falls into parts meanwhile', () => {
    const map = filled(WHOLE);
    const underWay = map.values();
    expect(underWay.next().done).toBe(false);
    map.set('one more', -1);
    map.delete('key:1');
    expect(underWay.next().done).toBe(true);
    expect(contentOf(map)).toHaveLength(WHOLE);
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
