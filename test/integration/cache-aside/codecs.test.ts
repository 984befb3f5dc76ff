// Processes that write alike and differently: what one of them wrote is read by all that know its codec,
// however it was compressed; what another codec wrote is absent, reported, and replaced.
import * as zlib from 'node:zlib';
import type { CacheOptions, CodecOption } from '@redcache/cache-aside';
import { msgpack } from '@redcache/cache-aside/msgpack';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { handlers as cacheUser } from '../../children/cache-user.ts';
import { type Child, type Children, startChildren } from '../../support/children.ts';
import { eventually } from '../../support/eventually.ts';
import { newKey, openCache, published } from './local-cache.ts';

const { standalone: url } = inject('redis');
const timeout = { redis: '10s' } as const;
const hasZstd = 'zstdCompressSync' in zlib;
type Algorithm = NonNullable<NonNullable<CacheOptions['compress']>['algorithm']>;

let children: Children<typeof cacheUser>;
let child: Child<typeof cacheUser>;
beforeAll(async () => {
  children = await startChildren<typeof cacheUser>('cache-user.ts');
  [child] = children.all as [typeof child];
});
afterAll(() => children.stop());

const codecs = ['json', 'text', 'bytes', 'msgpack'] as const;
const named = (name: (typeof codecs)[number]): CodecOption => (name === 'msgpack' ? msgpack : name);
const algorithms: readonly Algorithm[] = [
  'brotli',
  'gzip',
  'deflate',
  ...(hasZstd ? ['zstd' as const] : []),
];
const values: readonly unknown[] = [
  null,
  'short',
  'long é '.repeat(2_000),
  { list: Array.from({ length: 4_000 }, (_, i) => ({ i, name: `name ${i % 7}` })), empty: [] },
];

test.each(
  (['json', 'msgpack'] as const).flatMap((codec) =>
    algorithms.map((algorithm) => [codec, algorithm] as const),
  ),
)(
  '%s and %s: written by one process, read by another that compresses otherwise, and back',
  async (codec, algorithm) => {
    const one = await openCache(url, {
      codec: named(codec),
      compress: { above: 1_000, algorithm },
      timeout,
      grace: '1h',
    });
    for (const compress of [
      undefined,
      { above: 10, algorithm: algorithm === 'gzip' ? 'brotli' : 'gzip' },
    ] as const) {
      await child.request('open', url, { codec, timeout, ...(compress && { compress }) });
      for (const value of values) {
        const [ours, theirs] = [newKey(), newKey()];
        expect(await one.cache.get<unknown>(ours, () => value)).toEqual(value);
        expect(await child.request('getNow', ours, 'not asked')).toEqual(value);
        await child.request('set', theirs, value);
        expect(await one.cache.getMany([ours, theirs])).toEqual(
          new Map([ours, theirs].map((key) => [key, value])),
        );
        // Aged, what was compressed is served and loaded anew like any other.
        await child.request('expire', ours);
        await eventually(async () => (await one.cache.get<unknown>(ours, () => 'new')) === 'new');
        await eventually(async () => (await child.request('getNow', ours, 'not asked')) === 'new');
      }
    }
  },
);

test('msgpack: bytes, dates and holes of JSON come back in another process as they were', async () => {
  const [one, two] = [
    await openCache(url, { codec: msgpack, compress: { above: 100 }, timeout }),
    await openCache(url, { codec: msgpack, timeout }),
  ];
  const value = {
    bytes: new Uint8Array([0, 255, 10]),
    at: new Date(1_234_567_890_123),
    list: [null, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53 - 1, 1.5, 'é'.repeat(500)],
  };
  const key = newKey();
  const loaded = await one.cache.get<typeof value>(key, () => value);
  const read = (await two.cache.get<typeof value>(key)) as typeof value;
  expect(read).toEqual(loaded);
  expect([...read.bytes]).toEqual([0, 255, 10]);
  expect(read.at.getTime()).toBe(1_234_567_890_123);
  expect(read.list).toEqual(value.list);
});

test.each(
  codecs.flatMap((writer) =>
    codecs.filter((each) => each !== writer).map((reader) => [writer, reader] as const),
  ),
)(
  'what %s wrote is none for %s: reported, replaced by the next load, and kept from nobody else',
  async (writer, reader) => {
    const compress = { above: 10 };
    const grace = '1h';
    const one = await openCache(url, { codec: named(writer), timeout, compress, grace });
    const two = await openCache(url, { codec: named(reader), timeout, grace });
    const told = published<{ key: string; reason: unknown }>('redcache:cache:unreadable');
    const encodedBy = (codec: string, text: string): unknown =>
      codec === 'bytes' ? Buffer.from(text) : text;
    const theirs = encodedBy(writer, 'theirs '.repeat(10));
    const ours = encodedBy(reader, 'ours');
    const [key, other] = [newKey(), newKey()];
    await one.cache.set(key, theirs);
    await two.cache.set(other, ours);
    expect(await two.cache.get(key)).toBeUndefined();
    expect(await two.cache.getMany([other, key])).toEqual(new Map([[other, ours]]));
    expect(told.filter((each) => each.key === key).length).toBe(2);
    expect(String(told[0]?.reason)).toContain(String(writer));
    // Nor is it served when it has aged, or while it is loaded anew.
    await one.cache.expire(key);
    expect(await two.cache.getMany([other, key], () => ({ [key]: ours }))).toEqual(
      new Map([
        [other, ours],
        [key, ours],
      ]),
    );
    expect(await two.cache.get(key)).toEqual(ours);
    // And the other way round.
    await eventually(async () => (await one.cache.get(key)) === undefined);
    expect(await one.cache.get(key, () => theirs)).toEqual(theirs);
    await eventually(async () => (await two.cache.get(key)) === undefined);
  },
);

test.runIf(!hasZstd)(
  'where Node has no zstd such a value is replaced, and the option refused',
  async () => {
    const { cache, client } = await openCache(url, { timeout });
    const key = newKey();
    await client.set(key, `rc1 v id json 60000 0 0 zzstd:100 e${Number.MAX_SAFE_INTEGER}\n####`);
    const told = published<{ key: string; reason: unknown }>('redcache:cache:unreadable');
    expect(await cache.get(key, () => 'loaded')).toBe('loaded');
    expect(String(told.find((each) => each.key === key)?.reason)).toContain('zstd');
    expect(await client.get(key)).toContain('"loaded"');
    await expect(
      openCache(url, { compress: { above: 1, algorithm: 'zstd' } }),
    ).rejects.toMatchObject({
      code: 'REDCACHE_CONFIG',
    });
  },
);
