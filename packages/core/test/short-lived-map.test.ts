import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ShortLivedMap } from '../src/short-lived-map.ts';

test('is a map, however often it is renewed', () => {
  const steps = fc.array(fc.record({ key: fc.nat(300), value: fc.nat(), deletes: fc.boolean() }), {
    minLength: 500,
    maxLength: 2_000,
    size: 'max',
  });
  fc.assert(
    fc.property(steps, (changes) => {
      const map = new ShortLivedMap<number, number>();
      const model = new Map<number, number>();
      for (const { key, value, deletes } of changes) {
        if (deletes) expect(map.delete(key)).toBe(model.delete(key));
        else {
          map.set(key, value);
          model.set(key, value);
        }
        expect([map.get(key), map.has(key), map.size]).toEqual([
          model.get(key),
          model.has(key),
          model.size,
        ]);
      }
      expect(map.values()).toEqual([...model.values()]);
    }),
    { numRuns: 30 },
  );
});
