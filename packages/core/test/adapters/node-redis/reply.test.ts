import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { copyReply, replyBytes, saysAbsent } from '../../../src/adapters/node-redis/reply.ts';

const nullProto = (fields: object): object => Object.assign(Object.create(null), fields);

/** All that a reply may be made of, nested. */
const anyReply = fc.letrec((tie) => ({
  reply: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.string(),
    fc.double(),
    fc.bigInt(),
    fc.constantFrom(null, true, false),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    fc.array(tie('reply')),
    fc.dictionary(fc.oneof(fc.string(), fc.constant('__proto__')), tie('reply')),
    fc.array(fc.tuple(fc.string(), tie('reply'))).map((pairs) => new Map(pairs)),
    fc.array(fc.string()).map((items) => new Set(items)),
  ),
})).reply;

/** Every object and Buffer in it. */
function partsOf(value: unknown, parts = new Set<object>()): Set<object> {
  if (typeof value !== 'object' || value === null) return parts;
  parts.add(value);
  if (Buffer.isBuffer(value)) return parts;
  const inner =
    value instanceof Map
      ? [...value].flat()
      : value instanceof Set
        ? [...value]
        : Object.values(value);
  for (const each of inner) partsOf(each, parts);
  return parts;
}

describe('a copy of a reply', () => {
  test('is equal to it, prototypes included, and shares nothing that can be changed', () => {
    fc.assert(
      fc.property(anyReply, (reply) => {
        const copied = copyReply(reply);
        expect(copied).toStrictEqual(reply);
        const originals = partsOf(reply);
        for (const part of partsOf(copied)) expect(originals.has(part)).toBe(false);
      }),
    );
  });

  test('keeps a Buffer a Buffer, with bytes of its own', () => {
    const reply = { field: Buffer.from('bytes') };
    const copied = copyReply(reply);
    reply.field[0] = 0;
    expect(Buffer.isBuffer(copied.field)).toBe(true);
    expect(copied.field.toString()).toBe('bytes');
  });

  test('keeps an object without prototype one', () => {
    const copied = copyReply(nullProto({ field: 'value' }));
    expect(Object.getPrototypeOf(copied)).toBeNull();
    expect(copied).toEqual(nullProto({ field: 'value' }));
  });

  test('keeps a field called __proto__, of either kind of object, a field', () => {
    const parsed = JSON.parse('{"__proto__": {"admin": true}, "name": "n"}');
    const copied = copyReply(parsed);
    expect(JSON.stringify(copied)).toBe(JSON.stringify(parsed));
    expect(Object.getPrototypeOf(copied)).toBe(Object.prototype);
    expect(copied.admin).toBeUndefined();
    const bare = copyReply(nullProto({ ['__proto__']: 'value' }));
    expect(Object.entries(bare)).toEqual([['__proto__', 'value']]);
  });

  test('keeps what is neither: dates, verbatim strings', () => {
    const date = new Date(5);
    const copied = copyReply({ date, text: new String('text') });
    expect(copied.date).toEqual(date);
    expect(copied.date).not.toBe(date);
    expect(copied.text.valueOf()).toBe('text');
  });
});

test('bytes: strings as UTF-8, Buffers, 8 for each other leaf and each level', () => {
  expect(replyBytes('aä😀')).toBe(7);
  expect(replyBytes(Buffer.alloc(5))).toBe(5);
  expect(replyBytes(new String('abc'))).toBe(3);
  for (const leaf of [null, undefined, 1, 1n, true]) expect(replyBytes(leaf)).toBe(8);
  expect(replyBytes(['ab', 'c'])).toBe(8 + 3);
  expect(replyBytes({ a: 'bc' })).toBe(8 + 8 + 3);
  expect(replyBytes(new Map([['a', 'bc']]))).toBe(8 + 8 + 3);
  expect(replyBytes(new Set(['ab']))).toBe(8 + 2);
});

test('bytes are a finite whole number from 0, whatever the reply', () => {
  fc.assert(
    fc.property(anyReply, (reply) => {
      expect(Number.isSafeInteger(replyBytes(reply))).toBe(true);
      expect(replyBytes(reply)).toBeGreaterThanOrEqual(0);
    }),
  );
});

describe('a key that does not exist', () => {
  test.for([
    ['GET', null],
    ['STRLEN', 0],
    ['GETRANGE', ''],
    ['GETRANGE as bytes', Buffer.alloc(0)],
    ['BITPOS', -1],
    ['EXPIRETIME', -2],
    ['TYPE', 'none'],
    ['LRANGE', []],
    ['HGETALL', {}],
    ['HGETALL without prototype', nullProto({})],
    ['HGETALL as a Map', new Map()],
    ['SMEMBERS as a Set', new Set()],
    ['HMGET', [null, null]],
    ['SMISMEMBER', [0, 0]],
  ] as const)('%s answers so', ([, reply]) => {
    expect(saysAbsent(reply)).toBe(true);
  });

  test.for([
    'value',
    'nil',
    1,
    -3,
    true,
    Buffer.from('x'),
    [null, 'x'],
    [[], ['x']],
    { field: null },
    new Map([['field', null]]),
    new Set([null]),
  ] as const)('%j is no such answer', (reply) => {
    expect(saysAbsent(reply)).toBe(false);
  });
});
