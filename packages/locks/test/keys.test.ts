import { slotOf } from '@redcache/core/toolkit';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { beside, lockKeys, spreadKeys, wakeKey } from '../src/keys.ts';

// From the cluster specification of Redis, and CLUSTER KEYSLOT.
test.for([
  ['123456789', 12_739],
  ['foo', 12_182],
  ['{user1000}.following', 3_443],
  ['{user1000}.followers', 3_443],
  ['foo{}{bar}', 8_363],
  ['foo{{bar}}zap', 4_015],
  ['foo{bar}{zap}', 5_061],
] as const)('the slot of %s is %d', ([key, slot]) => {
  expect(slotOf(key)).toBe(slot);
});

const piece = fc.oneof(fc.constantFrom('{', '}', 'a', ''), fc.string({ unit: 'grapheme' }));
const anyKey = fc
  .array(piece, { minLength: 1, maxLength: 6 })
  .map((pieces) => pieces.join(''))
  .filter((key) => key !== '');

test('the keys beside the lock are in its slot, whatever its braces', () => {
  fc.assert(
    fc.property(anyKey, fc.constantFrom('redcache:lock:', '', '{'), (key, prefix) => {
      const keys = lockKeys(prefix, key);
      const names = ['fence', 'queue', 'alive', 'holders', 'turn', 'next'] as const;
      const wakes = (['turn', 'next'] as const).map((name) => wakeKey(keys, name, 'w:0-a'));
      for (const each of [...names.map((name) => beside(keys, name)), ...wakes])
        expect(slotOf(each)).toBe(slotOf(keys.lock));
    }),
  );
});

test('no two keys share a fence key, and none is a lock', () => {
  fc.assert(
    fc.property(anyKey, anyKey, (a, b) => {
      const [one, two] = [lockKeys('redcache:lock:', a), lockKeys('redcache:lock:', b)];
      const [ofOne, ofTwo] = [beside(one, 'fence'), beside(two, 'fence')];
      expect(ofOne === ofTwo).toBe(a === b);
      expect(ofOne).not.toBe(two.lock);
      expect(ofOne.startsWith('redcache:lock:')).toBe(false);
    }),
  );
});

test('the keys of a majority are spread over the slots, and the first is the plain one', () => {
  const places = fc.integer({ min: 1, max: 10 }).map((majority) => 2 * majority - 1);
  fc.assert(
    fc.property(
      anyKey,
      fc.constantFrom('redcache:lock:', '', '{'),
      places,
      (key, prefix, count) => {
        const all = spreadKeys(prefix, key, count);
        expect(all).toHaveLength(count);
        expect(all[0]).toEqual(lockKeys(prefix, key));
        const slots = all.map(({ lock }) => slotOf(lock)).sort((a, b) => a - b);
        for (const [i, slot] of slots.entries()) {
          const next = slots[i + 1] ?? (slots[0] as number) + 16_384;
          if (count > 1) expect(Math.abs(next - slot - 16_384 / count)).toBeLessThan(1.5);
        }
        for (const keys of all)
          for (const name of ['fence', 'queue'] as const)
            expect(slotOf(beside(keys, name))).toBe(slotOf(keys.lock));
      },
    ),
  );
});

test('no two keys share any of the keys of a majority', () => {
  fc.assert(
    fc.property(anyKey, anyKey, (a, b) => {
      fc.pre(a !== b);
      const [one, two] = [a, b].map((key) =>
        spreadKeys('redcache:lock:', key, 5).flatMap((keys) => [keys.lock, beside(keys, 'fence')]),
      );
      expect(new Set([...(one ?? []), ...(two ?? [])]).size).toBe(20);
    }),
  );
});
