import { encode as encodeByLibrary } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { msgpack } from '../../src/codecs/msgpack.ts';
import { CodecError } from '../../src/errors.ts';

const encode = (value: unknown): Buffer => Buffer.from(msgpack.encode(value, 'user:1'));
const roundTrip = (value: unknown): unknown => msgpack.decode(encode(value) as never);

function refusal(value: unknown): string {
  try {
    encode(value);
  } catch (error) {
    expect(error).toBeInstanceOf(CodecError);
    expect(error).toMatchObject({ code: 'REDCACHE_CODEC', key: 'user:1' });
    return (error as CodecError).message.replace(
      "the value of 'user:1' cannot be stored as MessagePack: ",
      '',
    );
  }
  return 'was stored';
}

const leaf = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.double().map((value) => (Object.is(value, -0) ? 0 : value)),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.boolean(),
  fc.constant(null),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array().map((bytes) => Buffer.from(bytes)),
);
const name = fc.string({ unit: 'grapheme' }).filter((text) => text !== '__proto__');
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('tree'), { maxLength: 6 }),
    fc.dictionary(name, tie('tree'), { maxKeys: 6, noNullPrototype: true }),
  ),
}));

test('every value comes back equal, each number and BigInt as what it was', () => {
  fc.assert(
    fc.property(tree, (value) => {
      expect(roundTrip(value)).toStrictEqual(value);
    }),
    { numRuns: 500 },
  );
});

test.each([
  2n ** 64n - 1n,
  -(2n ** 63n),
  0n,
  2 ** 53 - 1,
  -(2 ** 53) + 1,
  2 ** 32,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  new Date(8.64e15),
  new Date(-8.64e15),
  new Date(-1),
])('%s comes back', (value) => expect(roundTrip(value)).toStrictEqual(value));

test('a Uint8Array comes back as a Buffer, in memory of its own', () => {
  const stored = encode({ a: [new Uint8Array([1, 2])] });
  const back = msgpack.decode(stored) as { a: [Buffer] };
  expect(Buffer.isBuffer(back.a[0])).toBe(true);
  stored.fill(0);
  expect([...back.a[0]]).toEqual([1, 2]);
});

test('fields that are undefined are left out', () => {
  expect(roundTrip({ a: undefined, b: 1 })).toStrictEqual({ b: 1 });
});

test('the same object twice is no cycle', () => {
  const shared = { n: 1 };
  expect(roundTrip({ a: shared, b: [shared, shared] })).toEqual({
    a: { n: 1 },
    b: [{ n: 1 }, { n: 1 }],
  });
});

test('other objects with toJSON are stored as what that answers, and left as they are', () => {
  const at = new Date(0);
  const value = { url: new URL('http://a/'), list: [{ toJSON: (name: string) => ({ name, at }) }] };
  const before = { ...value };
  expect(roundTrip(value)).toStrictEqual({ url: 'http://a/', list: [{ name: '0', at }] });
  expect(value).toEqual(before);
});

test('objects of a class are stored by their properties, boxed values as what is in them', () => {
  class Point {
    readonly x = 1;
  }
  expect(roundTrip([new Point(), Object('a'), Object(2), Object(false)])).toStrictEqual([
    { x: 1 },
    'a',
    2,
    false,
  ]);
});

describe('what MessagePack cannot hold is refused, with its path', () => {
  const cycle = (): unknown => {
    const value: Record<string, unknown> = { a: {} };
    (value.a as Record<string, unknown>).b = value;
    return value;
  };

  test.each<[string, () => unknown]>([
    ['a BigInt of more than 64 bits at $', () => 2n ** 64n],
    [
      'a BigInt of more than 64 bits at $.a[0]["b c"]',
      () => ({ a: [{ 'b c': -(2n ** 63n) - 1n }] }),
    ],
    ['a BigInt at $', () => Object(1n)],
    ['a cycle at $.a.b', cycle],
    [
      'a cycle at $',
      () => {
        const self = { toJSON: (): unknown => self };
        return self;
      },
    ],
    ['an invalid Date at $.at', () => ({ at: new Date(Number.NaN) })],
    ['an invalid Date at $', () => ({ toJSON: () => new Date(Number.NaN) })],
    ['a Map at $', () => new Map([[1, 2]])],
    ['a Set at $.s', () => ({ s: new Set() })],
    ['a Promise at $', () => Promise.resolve()],
    ['a RegExp at $', () => /x/],
    ['a Error at $', () => new TypeError('x')],
    ['a function at $.f', () => ({ f() {} })],
    ['a symbol at $', () => Symbol('x')],
    ['a Float64Array at $', () => new Float64Array(1)],
    ['a Uint8ClampedArray at $', () => new Uint8ClampedArray(1)],
    ['a ArrayBuffer at $', () => new ArrayBuffer(1)],
    ['a DataView at $', () => new DataView(new ArrayBuffer(1))],
    ['undefined at $[1]', () => [1, undefined]],
    ['undefined at $[0]', () => new Array(2)],
    ['half a surrogate pair at $[0]', () => ['\ud800']],
    ['half a surrogate pair in the name at $["\\ud800"]', () => ({ '\ud800': 1 })],
    [
      'a property that cannot be read back at $.a.__proto__',
      () => JSON.parse('{"a":{"__proto__":1}}'),
    ],
  ])('%s', (message, make) => {
    expect(refusal(make())).toBe(message);
  });

  test('a value that is too deep', () => {
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i += 1) deep = [deep];
    expect(refusal(deep)).toBe('it is too deep or too long');
  });
});

test('a value deeper than the library allows by itself comes back', () => {
  let deep: unknown = 1;
  for (let i = 0; i < 500; i += 1) deep = [deep];
  expect(roundTrip(deep)).toEqual(deep);
});

test('a list that says it is longer than all that was stored is refused before room is made', () => {
  const list = Buffer.from([0xdd, 0x01, 0xc9, 0xc3, 0x80]);
  expect(() => msgpack.decode(list)).toThrow('Max length exceeded');
});

test('any bytes are decoded or refused with an error', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        tree.map((value) => encodeByLibrary(value, { useBigInt64: true }).slice(0, -1)),
      ),
      (bytes) => {
        try {
          msgpack.decode(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      },
    ),
    { numRuns: 1_000 },
  );
});
