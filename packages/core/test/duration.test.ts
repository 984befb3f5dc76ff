import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { durationMs } from '../src/duration.ts';

test.for([
  [1, 1],
  [250, 250],
  [2 ** 53 - 1, 2 ** 53 - 1],
  ['250ms', 250],
  ['10s', 10_000],
  ['5m', 300_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
  ['1.5s', 1_500],
  ['0.001s', 1],
  ['1.001s', 1_001],
  ['0.5d', 43_200_000],
  ['007s', 7_000],
] as const)('%s is %d ms', ([given, ms]) => {
  expect(durationMs(given, 'lease')).toBe(ms);
});

describe('refuses', () => {
  test.for([
    0,
    -1,
    -0,
    0.5,
    1.000_001,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    2 ** 53,
    Number.MIN_VALUE,
    Number.MAX_VALUE,
    '0',
    '0s',
    '10',
    '-5s',
    '+5s',
    '5 s',
    ' 5s',
    '5s\n',
    '5S',
    '5sec',
    '1e3ms',
    '.5s',
    '5.s',
    '0.5ms',
    '0.0001s',
    '9007199254740992ms',
    '999999999999d',
    '0x10ms',
    '٣s',
    '',
    'Infinitys',
    'NaNms',
    null,
    undefined,
    true,
    5n,
    [],
    ['5s'],
    {},
    Symbol('5s'),
    { valueOf: () => 5 },
    new Date(5),
    Object.create(null),
    () => 5,
  ] as unknown[])('%s', (given) => {
    expect(() => durationMs(given, 'lease')).toThrow(
      expect.objectContaining({
        code: 'REDCACHE_CONFIG',
        message: expect.stringMatching(/^lease must be a/),
      }),
    );
  });
});

const anything = fc.oneof(
  fc.anything(),
  fc.double(),
  fc.maxSafeInteger(),
  fc
    .tuple(fc.oneof(fc.double(), fc.nat()), fc.constantFrom('ms', 's', 'm', 'h', 'd'))
    .map(([amount, unit]) => `${amount}${unit}`),
  fc.stringMatching(/^\d{1,20}(\.\d{1,20})?(ms|s|m|h|d)$/),
);

test('whatever is given, the answer is a whole number from 1 to 2^53 - 1, or an error', () => {
  fc.assert(
    fc.property(anything, (given) => {
      let ms: number;
      try {
        ms = durationMs(given, 'lease');
      } catch (error) {
        expect(error).toMatchObject({ code: 'REDCACHE_CONFIG' });
        return;
      }
      expect(Number.isSafeInteger(ms) && ms >= 1).toBe(true);
    }),
    { numRuns: 5_000 },
  );
});

test('every whole number of milliseconds can be said in every unit that holds it exactly', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000_000 }), (ms) => {
      expect(durationMs(ms, 'x')).toBe(ms);
      expect(durationMs(`${ms}ms`, 'x')).toBe(ms);
      const seconds = `${Math.floor(ms / 1000)}.${String(ms % 1000).padStart(3, '0')}s` as const;
      expect(durationMs(seconds, 'x')).toBe(ms);
    }),
    { numRuns: 5_000 },
  );
});
