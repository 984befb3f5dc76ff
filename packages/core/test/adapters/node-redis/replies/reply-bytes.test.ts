import fc from 'fast-check';
import { expect, test } from 'vitest';
import { replyBytes } from '../../../../src/adapters/node-redis/replies/index.ts';
import { anyReply } from './any-reply.ts';

test('counts strings as UTF-8, bytes, and 8 for each other leaf and each level', () => {
  expect(replyBytes('aä😀')).toBe(7);
  expect(replyBytes(Buffer.alloc(5))).toBe(5);
  expect(replyBytes(new String('abc'))).toBe(3);
  for (const leaf of [null, undefined, 1, 1n, true]) expect(replyBytes(leaf)).toBe(8);
  expect(replyBytes(['ab', 'c'])).toBe(8 + 3);
  expect(replyBytes({ a: 'bc' })).toBe(8 + 8 + 3);
  expect(replyBytes(new Map([['a', 'bc']]))).toBe(8 + 8 + 3);
  expect(replyBytes(new Set(['ab']))).toBe(8 + 2);
});

test('is a whole number from 0, whatever the reply', () => {
  fc.assert(
    fc.property(anyReply, (reply) => {
      expect(Number.isSafeInteger(replyBytes(reply))).toBe(true);
      expect(replyBytes(reply)).toBeGreaterThanOrEqual(0);
    }),
  );
});
