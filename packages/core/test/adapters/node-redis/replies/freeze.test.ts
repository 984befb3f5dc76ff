import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { freezeReply, handOut } from '../../../../src/adapters/node-redis/replies/index.ts';
import { anyReply, freezableReply, partsOf, portrait } from './any-reply.ts';

test('a reply of lists, objects and leaves is handed out deeply frozen, one copy for all', () => {
  fc.assert(
    fc.property(freezableReply, (reply) => {
      const kept = freezeReply(reply);
      const handed = handOut(kept);
      expect(isDeepStrictEqual(handed, reply)).toBe(true);
      expect(handOut(kept)).toBe(handed);
      for (const part of partsOf(handed)) expect(Object.isFrozen(part)).toBe(true);
    }),
  );
});

test('the original is neither frozen nor shared', () => {
  fc.assert(
    fc.property(anyReply, (reply) => {
      const before = portrait(reply);
      const handed = partsOf(handOut(freezeReply(reply)));
      expect(portrait(reply)).toEqual(before);
      for (const part of partsOf(reply)) expect(handed.has(part)).toBe(false);
    }),
  );
});

test('an immutable reply is stored as itself', () => {
  for (const reply of ['text', 1, null, undefined, true, 1n])
    expect(freezeReply(reply)).toBe(reply);
});

test.for([
  ['bytes', Buffer.from('b')],
  ['bytes in a list', ['a', Buffer.from('b')]],
  ['a map in an object', { map: new Map([['a', 1]]) }],
  ['a set', new Set(['a'])],
  ['a date in a list in an object', { list: [[new Date(5)]] }],
] as const)('a reply that cannot be frozen, %s, is copied for each', ([, reply]) => {
  const kept = freezeReply(reply);
  const [first, second] = [handOut(kept), handOut(kept)];
  expect(first).toStrictEqual(reply);
  for (const part of partsOf(first)) {
    expect(partsOf(second).has(part)).toBe(false);
    expect(Object.isFrozen(part)).toBe(false);
  }
});
