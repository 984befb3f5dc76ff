import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attach } from '../../src/attach.ts';
import { readOptions } from '../../src/options.ts';
import { FakeClient } from '../../src/testing/index.ts';
import {
  covers,
  DEFAULT_RULES,
  type TrackingOptions,
  type TrackingRules,
  trackingReaders,
  trackingRules,
} from '../../src/tracking/options.ts';
import { createTrackingCache } from '../../src/tracking-cache.ts';

const rulesOf = (options?: unknown): TrackingRules =>
  trackingRules(readOptions('attach', options, trackingReaders));

const config = (message: RegExp) =>
  expect.objectContaining({ code: 'REDCACHE_CONFIG', message: expect.stringMatching(message) });

test('what is left out has its default', () => {
  expect(rulesOf()).toEqual(DEFAULT_RULES);
  expect(DEFAULT_RULES).toEqual({
    mode: 'default',
    noLoop: false,
    maxStalenessMs: 2_000,
    replaceSilent: true,
  });
});

test.for<[TrackingOptions, Partial<TrackingRules>]>([
  [{ mode: 'optin' }, { mode: 'optin' }],
  [
    { mode: 'optin', noLoop: true },
    { mode: 'optin', noLoop: true },
  ],
  [{ mode: { broadcast: ['a:', 'b:'] } }, { mode: { broadcast: ['a:', 'b:'] } }],
  [{ mode: { broadcast: [''] } }, { mode: { broadcast: [''] } }],
  [{ noLoop: true }, { noLoop: true }],
  [{ maxStaleness: false }, { maxStalenessMs: Number.POSITIVE_INFINITY }],
  [{ maxStaleness: 50 }, { maxStalenessMs: 50 }],
  [{ maxStaleness: '1m' }, { maxStalenessMs: 60_000 }],
  [{ replaceSilent: false }, { replaceSilent: false }],
])('%j', ([options, rules]) => {
  expect(rulesOf(options)).toEqual({ ...DEFAULT_RULES, ...rules });
});

test('the prefixes are a copy that does not change', () => {
  const broadcast = ['a:'];
  const { mode } = rulesOf({ mode: { broadcast } });
  broadcast.push('');
  expect(mode).toEqual({ broadcast: ['a:'] });
});

describe('refused before anything is sent', () => {
  test.for<[unknown, RegExp]>([
    [{ mode: 'noloop' }, /^attach: mode must be 'default', 'optin' or \{ broadcast/],
    [{ mode: null }, /^attach: mode must be/],
    [{ mode: {} }, /^attach: mode must be/],
    [{ mode: { broadcast: 'a' } }, /^attach: mode must be/],
    [{ mode: { broadcast: ['a', 5] } }, /^attach: mode must be/],
    [{ mode: { broadcast: [] } }, /^attach: mode\.broadcast needs a prefix; '' is every key/],
    [{ mode: { broadcast: [''] }, noLoop: true }, /^noLoop cannot be combined with broadcast/],
    [{ noLoop: 1 }, /^attach: noLoop must be true or false/],
    [{ maxStaleness: 49 }, /^attach: maxStaleness must be at least 50 ms, got 49/],
    [{ maxStaleness: 0 }, /^attach: maxStaleness must be/],
    [{ maxStaleness: true }, /^attach: maxStaleness must be/],
    [{ maxStaleness: Number.POSITIVE_INFINITY }, /^attach: maxStaleness must be/],
    [{ replaceSilent: 'no' }, /^attach: replaceSilent must be true or false/],
    [{ maxstaleness: 50 }, /^attach: unknown option 'maxstaleness'/],
    [null, /^attach: options must be an object/],
  ])('%j', ([options, message]) => {
    const client = new FakeClient();
    client.connection('up');
    const cache = createTrackingCache();
    expect(() => attach(cache, client, options as TrackingOptions)).toThrow(config(message));
    expect([client.sent, client.listeners, cache.stats().connections]).toEqual([[], 0, 0]);
  });

  test.for([
    [['a', 'ab']],
    [['ab', 'a']],
    [['a', 'a']],
    [['x', 'ab', 'y', 'a']],
    [['a', 'x', 'y', 'ab']],
    [['', 'a']],
    [['a', '']],
  ])('R14: the prefixes %j, which overlap', ([broadcast]) => {
    expect(() => rulesOf({ mode: { broadcast } })).toThrow(
      config(/overlap, which the server refuses/),
    );
  });

  test('R14: prefixes exactly if one begins with another, whatever their order', () => {
    const anyPrefixes = fc.array(fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 3 }), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(anyPrefixes, (broadcast) => {
        const overlap = broadcast.some((one, i) =>
          broadcast.some((other, j) => i !== j && one.startsWith(other)),
        );
        const read = (): unknown => rulesOf({ mode: { broadcast } });
        if (overlap) expect(read).toThrow(config(/overlap/));
        else expect(read()).toMatchObject({ mode: { broadcast } });
      }),
    );
  });
});

describe('covers', () => {
  test.for(['default', 'optin'] as const)('%s: every key', (mode) => {
    expect(covers(mode, ['k', ''])).toBe(true);
  });

  test('broadcast: keys that all begin with a prefix, each with its own', () => {
    const mode = { broadcast: ['user:', 'cart:'] };
    expect(covers(mode, ['user:1', 'cart:1', 'user:'])).toBe(true);
    expect(covers(mode, ['user:1', 'other'])).toBe(false);
    expect(covers(mode, ['user', 'xuser:1'])).toBe(false);
    expect(covers({ broadcast: [''] }, ['anything', ''])).toBe(true);
  });
});
