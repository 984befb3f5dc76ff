import { ConfigError } from '@redcache/core';
import { describe, expect, test } from 'vitest';
import { FamilyKeys } from '../../src/family/family-keys.ts';

describe('without key', () => {
  test.for([
    [42, 'user:42'],
    [-0, 'user:0'],
    [1.5, 'user:1.5'],
    [10n ** 20n, 'user:100000000000000000000'],
    ['a b:{c}', 'user:a b:{c}'],
  ] as const)('%s is called %s', ([id, name]) => {
    expect(new FamilyKeys<unknown>('user', undefined).nameOf(id, 'get')).toBe(name);
  });

  test.for([
    [Number.NaN, /NaN is no id, unless/],
    [Number.POSITIVE_INFINITY, /Infinity is no id/],
    [undefined, /undefined is no id/],
    [null, /no id/],
    [true, /true is no id/],
    [Symbol('s'), /Symbol\(s\) is no id/],
    [{ id: 1 }, /object is no id/],
    [['1'], /object is no id/],
    [new Date(0), /object is no id/],
    ['', /get of 'user': the key must be a string that is not empty/],
    ['\ud800', /well-formed/],
  ] as const)('%s is refused', ([id, message]) => {
    const keys = new FamilyKeys<unknown>('user', undefined);
    expect(() => keys.nameOf(id, 'get')).toThrow(ConfigError);
    expect(() => keys.nameOf(id, 'get')).toThrow(message);
  });

  test("1 and '1' would be one, so ids are of one type", () => {
    const keys = new FamilyKeys<unknown>('user', undefined);
    keys.nameOf(1, 'get');
    expect(() => keys.nameOf('1', 'get')).toThrow(/'1' is a string, and the ids before .* number/);
    expect(() => keys.nameOf(1n, 'get')).toThrow(/1n is a bigint/);
    expect(keys.nameOf(2, 'get')).toBe('user:2');
  });
});

describe('with key', () => {
  test.for([undefined, null, 42, '', '\udc00', {}])('%o is no key', (key) => {
    const keys = new FamilyKeys<number>('user', () => key as never);
    expect(() => keys.nameOf(1, 'get')).toThrow(ConfigError);
  });

  test('what it throws comes out as it is', () => {
    const error = new Error('no tenant');
    const keys = new FamilyKeys<number>('user', () => {
      throw error;
    });
    expect(() => keys.nameOf(1, 'get')).toThrow(error);
  });

  test('two ids of one key are told, unless they may be alike', () => {
    const parity = new FamilyKeys<number>('user', (id) => String(id % 2));
    expect(() => parity.byName([1, 2, 3], 'getMany')).toThrow(
      /getMany of 'user': 1 and 3 have the same key/,
    );
    expect([...parity.byName([1, 1, 2], 'getMany')]).toEqual([
      ['user:1', 1],
      ['user:0', 2],
    ]);
    const one = { id: 1 };
    const objects = new FamilyKeys<{ id: number }>('user', ({ id }) => String(id));
    expect(objects.byName([one, { id: 1 }], 'getMany').get('user:1')).toBe(one);
  });
});
