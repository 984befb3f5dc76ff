import { describe, expect, test } from 'vitest';
import {
  abortSignal,
  checkKey,
  count,
  countTo,
  duration,
  flag,
  having,
  type OptionReader,
  oneOf,
  optional,
  optionals,
  ratio,
  readGiven,
  readOptions,
  text,
} from '../src/options.ts';
import { createTrackingCache } from '../src/tracking-cache.ts';

const config = (message: string | RegExp) =>
  expect.objectContaining({
    name: 'ConfigError',
    code: 'REDCACHE_CONFIG',
    message: expect.stringMatching(message),
  });

const readers = { size: optional(count, 5), wait: optional(duration, 10), strict: flag };

describe('readGiven', () => {
  test('answers what was given, and nothing of what was not', () => {
    expect(readGiven('call', { wait: '2s' }, { wait: duration, strict: flag })).toEqual({
      wait: 2_000,
    });
    expect(readGiven('call', { wait: undefined }, { wait: duration })).toEqual({});
    expect(readGiven('call', undefined, { wait: duration })).toEqual({});
  });

  test.each(['toString', '__proto__', 'wai'])('%s is no option', (name) => {
    const given = Object.defineProperty({}, name, { value: 1, enumerable: true });
    expect(() => readGiven('call', given, { wait: duration })).toThrow(
      config(`unknown option '${name}'`),
    );
  });

  test.each([null, [], 'wait', 7])('%j holds no options', (given) => {
    expect(() => readGiven('call', given, { wait: duration })).toThrow(config(/^call: options/));
  });

  test('a value that its reader refuses is named', () => {
    expect(() => readGiven('call', { wait: 0 }, { wait: duration })).toThrow(config(/^call: wait/));
  });
});

test('optionals: what is left out is undefined, what is given is read', () => {
  const { wait, strict } = optionals({ wait: duration, strict: flag });
  expect([wait(undefined, 'wait'), wait('1s', 'wait'), strict(false, 'strict')]).toEqual([
    undefined,
    1_000,
    false,
  ]);
  expect(() => strict(7, 'strict')).toThrow(config(/^strict must be/));
});

describe('readOptions', () => {
  test('reads what is given and fills in what is not', () => {
    expect(readOptions('make', { wait: '2s', strict: true }, readers)).toEqual({
      size: 5,
      wait: 2_000,
      strict: true,
    });
  });

  test('a name that nobody knows is an error that says which are known', () => {
    expect(() => readOptions('make', { sise: 1, strict: true }, readers)).toThrow(
      config(/^make: unknown option 'sise'; known are size, wait, strict$/),
    );
  });

  test.for(['constructor', 'toString', '__proto__'])('%s is no known name', (name) => {
    const given = JSON.parse(`{"strict": true, "${name}": 1}`);
    expect(() => readOptions('make', given, readers)).toThrow(config(`unknown option '${name}'`));
  });

  test('an option that must be given and is not is an error', () => {
    expect(() => readOptions('make', undefined, readers)).toThrow(config(/^make: strict must be/));
  });

  test('an option that is undefined counts as left out', () => {
    expect(readOptions('make', { size: undefined, strict: false }, readers).size).toBe(5);
  });

  test.for([null, 5, 'x', [], true])('%j is no options object', (given) => {
    expect(() => readOptions('make', given, readers)).toThrow(
      config('make: options must be an object'),
    );
  });
});

const bad: Record<string, readonly [OptionReader<unknown>, ...unknown[]]> = {
  count: [
    count,
    0,
    -1,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 53,
    '5',
    null,
    5n,
    {},
    Object.create(null),
  ],
  countTo: [countTo(8), 0, 9, 1.5, '5'],
  flag: [flag, 0, 1, 'true', null, undefined],
  text: [text, 5, null, undefined, {}],
  ratio: [ratio(0, 1), -0.1, 1, Number.NaN, Number.POSITIVE_INFINITY, '0.5', null],
  oneOf: [oneOf('a', 'b'), 'c', '', null, undefined, 0],
  having: [having<{ go(): void }>('go'), null, undefined, {}, { go: 1 }, 'text', () => {}],
  abortSignal: [abortSignal, {}, null, 'x', new AbortController()],
};

describe.for(Object.entries(bad))('%s refuses', ([, [reader, ...values]]) => {
  test.for(values.map((value) => ({ value })))('$value', ({ value }) => {
    expect(() => reader(value, 'where: name')).toThrow(config(/^where: name must /));
  });
});

const good: Record<string, readonly [OptionReader<unknown>, ...unknown[]]> = {
  count: [count, 1, 2 ** 53 - 1],
  countTo: [countTo(8), 1, 8],
  flag: [flag, true, false],
  text: [text, '', 'x'],
  ratio: [ratio(0, 1), 0, 0.999],
  oneOf: [oneOf('a', 'b'), 'a', 'b'],
  having: [having<{ go(): void }>('go'), { go() {} }],
  abortSignal: [abortSignal, undefined, new AbortController().signal],
};

describe.for(Object.entries(good))('%s takes', ([, [reader, ...values]]) => {
  test.for(values.map((value) => ({ value })))('$value', ({ value }) => {
    expect(reader(value, 'name')).toBe(value);
  });
});

test.for([undefined, null, '', 5, {}, Buffer.from('k'), 'half \ud83d', '\udc00'])(
  '%j is no key',
  (key) => {
    expect(() => checkKey(key, 'get')).toThrow(config(/^get: the key must be/));
  },
);

describe('an engine refuses', () => {
  test.for([
    { maxEntries: 0 },
    { maxEntries: 2 ** 24 + 1 },
    { maxEntries: 2 ** 53 - 1 },
    { maxBytes: 0 },
    { maxBytes: 1.5 },
    { ttl: 0 },
    { ttl: 'soon' },
    { negativeTtl: -1 },
    { clock: {} },
    { clock: { nowMs: () => 0 } },
    { max: 5 },
    'x',
    null,
  ] as unknown[])('%j', (options) => {
    expect(() => createTrackingCache(options as object)).toThrow(config(/^createTrackingCache: /));
  });
});
