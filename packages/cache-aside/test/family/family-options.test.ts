import { ConfigError } from '@redcache/core';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { json } from '../../src/codecs/json.ts';
import { text } from '../../src/codecs/text.ts';
import { type FamilyRules, readFamilyOptions } from '../../src/family/family-options.ts';
import { DEFAULT_POLICY } from '../../src/policy.ts';

const compress = { aboveBytes: 10, algorithm: 'gzip' } as const;
const cache = {
  policy: { ...DEFAULT_POLICY, ttlMs: 7_000, graceMs: 3_000, hardMs: 9_000 },
  format: { freeze: 'clone', codec: json, compress, foreign: 'raw' },
} as const;
const reading = (options: Partial<FamilyRules<number, unknown>> & { schema?: unknown }) =>
  readFamilyOptions<number>({ name: 'user', ...options }, cache);

test('what is left out is as in the cache', () => {
  const { policy, format } = reading({});
  expect(policy).toEqual(cache.policy);
  expect(format).toEqual({ ...cache.format, schema: undefined });
});

test('what is said counts', () => {
  const schema = v.string();
  const { policy, format, tags } = reading({
    ttl: '1s',
    grace: false,
    timeout: { hard: '2s' },
    codec: 'text',
    compress: false,
    freeze: true,
    tags: ['users'],
    schema,
  });
  expect(policy).toEqual({ ...cache.policy, ttlMs: 1_000, graceMs: 0, hardMs: 2_000 });
  expect(format).toEqual({
    freeze: true,
    codec: text,
    compress: undefined,
    foreign: 'raw',
    schema,
  });
  expect(tags).toEqual(['users']);
});

test.for<[object, RegExp]>([
  [{ name: undefined }, /define: name must be well-formed text without a colon/],
  [{ name: '' }, /name must be/],
  [{ name: 'a:b' }, /name must be/],
  [{ name: '\ud800' }, /name must be/],
  [{ name: 'redcache' }, /'redcache' is taken/],
  [{ key: 'id' }, /key must be a function/],
  [{ load: 'id' }, /load must be a function/],
  [{ loadMany: {} }, /loadMany must be a function/],
  [{ schema: {} }, /schema must be a schema/],
  [{ schema: null }, /schema must be a schema/],
  [{ schema: { '~standard': {} } }, /schema must be a schema/],
  [{ tags: [''] }, /tags/],
  [{ ttl: 0 }, /ttl/],
  [{ timeout: { redis: 1 } }, /unknown option 'redis'/],
  [{ namespace: 'n' }, /unknown option 'namespace'/],
])('%o is refused', ([options, message]) => {
  expect(() => reading(options)).toThrow(ConfigError);
  expect(() => reading(options)).toThrow(message);
});
