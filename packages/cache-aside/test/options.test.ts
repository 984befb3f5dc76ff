import { isRedcacheError } from '@redcache/core';
import { describe, expect, test } from 'vitest';
import { json } from '../src/codecs/json.ts';
import { type CacheOptions, createCache } from '../src/index.ts';
import { readCacheOptions, readGetOptions, readSetOptions } from '../src/options.ts';

const client = {
  isReady: true,
  sendCommand: async () => null,
  on: () => {},
  off: () => {},
  select: () => {},
  duplicate: () => {},
} as unknown as CacheOptions['client'];
const read = (more: object = {}) => readCacheOptions({ client, ...more });

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(isRedcacheError(error)).toBe(true);
    expect(error).toMatchObject({ code: 'REDCACHE_CONFIG' });
    return (error as Error).message;
  }
  return 'was accepted';
}

const BAD_DURATIONS = [
  0,
  -1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 53,
  '0s',
  '-1s',
  '1',
  '',
  '1 s',
  's',
  '1w',
  null,
  {},
  true,
  10n,
];

test('defaults stand where nothing is said', () => {
  expect(read()).toMatchObject({
    prefix: '',
    redisMs: 250,
    format: { freeze: true, codec: json, compress: undefined, foreign: 'absent' },
    policy: {
      ttlMs: 300_000,
      localTtlMs: Number.POSITIVE_INFINITY,
      negativeTtlMs: 10_000,
      leaseMs: 10_000,
      onUnavailable: 'load',
      hardMs: 30_000,
    },
  });
});

test('a namespace is put before keys with a colon', () => {
  expect(read({ namespace: 'shop' }).prefix).toBe('shop:');
});

describe.each(['ttl', 'localTtl', 'negativeTtl', 'lease'])('%s', (name) => {
  test.each(BAD_DURATIONS)('cannot be %s, for a cache or a call', (bad) => {
    expect(refusal(() => read({ [name]: bad }))).toContain(`createCache: ${name}`);
    const { policy } = read();
    expect(refusal(() => readGetOptions('get', { [name]: bad } as object, policy))).toContain(
      `get: ${name}`,
    );
  });
});

test.each(['redis', 'hard'])('timeout.%s cannot be what is no duration', (name) => {
  for (const bad of BAD_DURATIONS)
    expect(refusal(() => read({ timeout: { [name]: bad } }))).toContain(
      `createCache: timeout: ${name}`,
    );
});

test('set: ttl cannot be what is no duration', () => {
  for (const bad of BAD_DURATIONS)
    expect(refusal(() => readSetOptions('set', { ttl: bad } as object, read().policy))).toContain(
      'set: ttl',
    );
});

test('an unknown option is an error at every level', () => {
  const { policy } = read();
  expect(refusal(() => read({ tll: 1 }))).toContain("unknown option 'tll'");
  expect(refusal(() => read({ timeout: { soft2: 1 } }))).toContain("unknown option 'soft2'");
  expect(refusal(() => readGetOptions('get', { tll: 1 } as object, policy))).toContain("'tll'");
  expect(
    refusal(() => readGetOptions('get', { timeout: { redis: 1 } } as object, policy)),
  ).toContain("'redis'");
  expect(refusal(() => readSetOptions('set', { localTtl: 1 } as object, policy))).toContain(
    "'localTtl'",
  );
});

test.each([
  ['options', () => readCacheOptions(null as never)],
  ['options', () => readCacheOptions([] as never)],
  ['options', () => readGetOptions('get', 'no' as never, read().policy)],
  ['timeout', () => read({ timeout: 250 })],
  ['onUnavailable', () => read({ onUnavailable: 'wait' })],
  ['freeze', () => read({ freeze: 'deep' })],
  ['codec', () => read({ codec: 'yaml' })],
  ['above', () => read({ compress: {} })],
  ['foreign', () => read({ foreign: 'text' })],
  ['namespace', () => read({ namespace: 7 })],
  ['clock', () => read({ clock: {} })],
  ['signal', () => readGetOptions('get', { signal: {} } as object, read().policy)],
])('%s of the wrong kind is an error', (name, run) => {
  expect(refusal(run)).toContain(name);
});

test('a call decides what it names and leaves the rest to the cache', () => {
  const { policy } = read({ ttl: '1m', lease: '5s' });
  const { signal } = new AbortController();
  expect(readGetOptions('get', { ttl: '2s', signal }, policy)).toEqual({
    policy: { ...policy, ttlMs: 2_000 },
    signal,
    tags: undefined,
    refresh: false,
  });
  expect(readGetOptions('get', undefined, policy)).toEqual({
    policy,
    signal: undefined,
    tags: undefined,
    refresh: false,
  });
});

describe('a client that will not do', () => {
  test.each([undefined, null, 'redis://x', {}])('%o is none', (bad) => {
    expect(refusal(() => createCache({ client: bad } as never))).toContain('client');
  });

  test('one without redcache', () => {
    expect(refusal(() => createCache({ client }))).toContain('clientSideCache');
  });

  test('one with the built-in cache of node-redis', () => {
    const other = { ...client, clientSideCache: { get: () => null } };
    expect(refusal(() => createCache({ client: other as never }))).toContain('clientSideCache');
  });
});
