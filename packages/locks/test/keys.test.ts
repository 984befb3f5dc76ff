import { slotOf } from '@redcache/core/toolkit';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { beside, lockKeys } from '../src/keys.ts';

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

test('the fence key is in the slot of the lock, whatever its braces', () => {
  fc.assert(
    fc.property(anyKey, fc.constantFrom('redcache:lock:', '', '{'), (key, prefix) => {
      const keys = lockKeys(prefix, key);
      const { lock } = keys;
      const fence = beside(keys, 'fence');
      expect(slotOf(fence)).toBe(slotOf(lock));
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
