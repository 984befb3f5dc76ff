import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { json } from '../../src/codecs/json.ts';
import { CodecError } from '../../src/errors.ts';

const encode = (value: unknown): string => json.encode(value, 'user:1');

function refusal(value: unknown): string {
  try {
    encode(value);
  } catch (error) {
    expect(error).toBeInstanceOf(CodecError);
    expect(error).toMatchObject({ code: 'REDCACHE_CODEC', key: 'user:1' });
    return (error as CodecError).message.replace(
      "the value of 'user:1' cannot be stored as JSON: ",
      '',
    );
  }
  return 'was stored';
}

test('every JSON value comes back equal', () => {
  const noMinusZero = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value).replaceAll('-0', '0'));
  fc.assert(
    fc.property(fc.jsonValue().map(noMinusZero), (value) => {
      expect(json.decode(encode(value))).toStrictEqual(value);
    }),
  );
});

test('half a surrogate pair in a string comes back', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 0xffff })), (units) => {
      const text = String.fromCharCode(...units);
      const bytes = Buffer.from(encode(text)).toString();
      expect(json.decode(bytes)).toBe(text);
    }),
  );
});

test('a field named __proto__ is a field', () => {
  const value = JSON.parse('{"__proto__":{"admin":true}}');
  const back = json.decode(encode(value)) as object;
  expect(Object.keys(back)).toEqual(['__proto__']);
  expect('admin' in back).toBe(false);
});

test('fields that are undefined are left out', () => {
  expect(json.decode(encode({ a: undefined, b: 1 }))).toStrictEqual({ b: 1 });
});

test('the same object twice is no cycle', () => {
  const shared = { n: 1 };
  expect(json.decode(encode({ a: shared, b: [shared, shared] }))).toEqual({
    a: { n: 1 },
    b: [{ n: 1 }, { n: 1 }],
  });
});

describe('what has toJSON is stored as what that answers', () => {
  test('dates, URLs, Buffers', () => {
    expect(json.decode(encode(new Date(0)))).toBe('1970-01-01T00:00:00.000Z');
    expect(json.decode(encode({ at: new URL('http://a/') }))).toEqual({ at: 'http://a/' });
    expect(json.decode(encode(Buffer.from([1, 2])))).toEqual({ type: 'Buffer', data: [1, 2] });
  });

  test.each([
    ['a BigInt', { a: { toJSON: () => 1n } }, 'a BigInt at $.a'],
    ['a BigInt further down', { toJSON: () => ({ n: [1n] }) }, 'a BigInt at $.n[0]'],
    ['NaN', [{ toJSON: () => Number.NaN }], 'NaN at $[0]'],
    ['nothing, in an array', [{ toJSON: () => undefined }], 'undefined at $[0]'],
    ['nothing, as the value', { toJSON: () => undefined }, 'undefined at $'],
    ['null, for a date that is none', { at: new Date(Number.NaN) }, 'an invalid Date at $.at'],
    ['a function', { toJSON: () => () => 1 }, 'a function at $'],
  ])('but not when that is %s', (_, value, message) => {
    expect(refusal(value)).toBe(message);
  });

  test('but not when that leads back to itself', () => {
    const node: { toJSON(): unknown } = { toJSON: () => ({ self: node }) };
    expect(refusal(node)).toBe('a cycle at $.self');
  });
});

describe('what JSON cannot hold is refused, with its path', () => {
  const cycle = (): unknown => {
    const value: Record<string, unknown> = { a: {} };
    (value.a as Record<string, unknown>).b = value;
    return value;
  };
  const ring = (): unknown => {
    const value: unknown[] = [];
    value.push([value]);
    return value;
  };

  test.each<[string, () => unknown]>([
    ['a BigInt at $', () => 1n],
    ['a BigInt at $.a[0]["b c"]', () => ({ a: [{ 'b c': 1n }] })],
    ['a BigInt at $', () => Object(1n)],
    ['a cycle at $.a.b', cycle],
    ['a cycle at $[0][0]', ring],
    ['NaN at $', () => Number.NaN],
    ['Infinity at $.n', () => ({ n: Number.POSITIVE_INFINITY })],
    ['-Infinity at $[0]', () => [-Infinity]],
    ['NaN at $', () => Object(Number.NaN)],
    ['a Map at $', () => new Map([[1, 2]])],
    ['a Set at $.s', () => ({ s: new Set() })],
    ['a WeakMap at $', () => new WeakMap()],
    ['a Promise at $', () => Promise.resolve()],
    ['a RegExp at $', () => /x/],
    ['a Error at $', () => new TypeError('x')],
    ['a function at $', () => () => 1],
    ['a function at $.f', () => ({ f() {} })],
    ['a symbol at $', () => Symbol('x')],
    ['a Uint8Array at $', () => new Uint8Array(1)],
    ['a Float64Array at $', () => new Float64Array(1)],
    ['a ArrayBuffer at $', () => new ArrayBuffer(1)],
    ['a DataView at $', () => new DataView(new ArrayBuffer(1))],
    ['undefined at $[1]', () => [1, undefined]],
    ['undefined at $[0]', () => new Array(2)],
  ])('%s', (message, make) => {
    expect(refusal(make())).toBe(message);
  });
});

test('a value too deep for JSON is refused', () => {
  let deep: unknown = 1;
  for (let i = 0; i < 100_000; i += 1) deep = [deep];
  expect(() => json.encode(deep, 'k')).toThrow(expect.objectContaining({ code: 'REDCACHE_CODEC' }));
});
