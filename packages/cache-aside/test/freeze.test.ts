import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { copyOf, deepFreeze } from '../src/freeze.ts';

const deeplyFrozen = (value: unknown): boolean =>
  typeof value !== 'object' ||
  value === null ||
  (Object.isFrozen(value) && Object.values(value).every(deeplyFrozen));

const changeable = (): unknown[] => [
  Buffer.from('b'),
  Buffer.alloc(0),
  new Date(0),
  new Map([[1, 2]]),
  new Set([1]),
  new ArrayBuffer(2),
  new Float64Array(1),
];

describe('deepFreeze', () => {
  test('freezes every level of what JSON can hold', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(deepFreeze(value)).toBe(true);
        expect(deeplyFrozen(value)).toBe(true);
      }),
    );
  });

  test('leaves what changes though frozen, and what holds it, and freezes the rest', () => {
    for (const each of changeable()) {
      const value = { rest: { a: [1] }, list: [{ each }] };
      expect(deepFreeze(value)).toBe(false);
      for (const holder of [value, value.list, value.list[0], each])
        expect(Object.isExtensible(holder)).toBe(true);
      expect(deeplyFrozen(value.rest)).toBe(true);
    }
  });
});

describe('copyOf', () => {
  test('is equal and shares nothing, however deep', () => {
    const objectsOf = (value: unknown): object[] =>
      typeof value === 'object' && value !== null
        ? [value, ...Object.values(value).flatMap(objectsOf)]
        : [];
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        deepFreeze(value);
        const copy = copyOf(value, 'copied');
        expect(copy).toStrictEqual(value);
        const originals = new Set(objectsOf(value));
        for (const each of objectsOf(copy)) {
          expect(originals.has(each)).toBe(false);
          expect(Object.isExtensible(each)).toBe(true);
        }
      }),
    );
  });

  test('of what changes though frozen is one of the same kind', () => {
    for (const each of changeable()) {
      const copy = copyOf({ each }, 'copied') as { each: unknown };
      expect(copy.each).toStrictEqual(each);
      expect(copy.each).not.toBe(each);
    }
  });

  test('of a Buffer in a pool is no copy of the pool', () => {
    const copy = copyOf(new Uint8Array(new ArrayBuffer(1_000), 10, 2), 'copied') as Uint8Array;
    expect(copy.buffer.byteLength).toBe(2);
  });

  test('may share what is frozen', () => {
    const value = { frozen: { a: 1 }, at: new Date(0) };
    deepFreeze(value);
    const copy = copyOf(value, 'shared') as typeof value;
    expect(copy).toStrictEqual(value);
    expect(copy).not.toBe(value);
    expect(copy.at).not.toBe(value.at);
    expect(copy.frozen).toBe(value.frozen);
  });

  test('keeps a field named __proto__ a field, and an object without prototype one', () => {
    const value = JSON.parse('{"__proto__":{"admin":true}}');
    const copy = copyOf(value, 'copied') as object;
    expect(Object.keys(copy)).toEqual(['__proto__']);
    expect('admin' in copy).toBe(false);
    expect(Object.getPrototypeOf(copyOf(Object.create(null), 'copied'))).toBe(null);
  });
});
