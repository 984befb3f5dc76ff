import { slotOf } from '@redcache/core/toolkit';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { beside, lockKeys, wakeKey } from '../src/keys.ts';

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
