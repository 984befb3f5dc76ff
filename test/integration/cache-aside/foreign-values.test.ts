// What somebody else put under our keys counts as absent, and never stalls anybody.
import { expect, inject, test } from 'vitest';
import { newKey, openCache, published, storedJson } from './local-cache.ts';

const { standalone: url } = inject('redis');

test.each([
  ['plain text', 'hello'],
  ['JSON that is not ours', '{"name":"Ada"}'],
  ['an empty text', ''],
  ['bytes that are no text', Buffer.from([0xff, 0xfe, 0, 0x80])],
  ['an envelope of a later version', 'rc2 v 0 0\n1'],
  ['an envelope of ours with a field of a later version', 'rc1 v id json 1 0 0 q1\n1'],
  ['an envelope of ours by another codec', 'rc1 v id yaml 60000 0 0\n1'],
  ['an envelope of ours with a value that is no JSON', 'rc1 v id json 60000 0 0\n{broken'],
])('%s is replaced by what the loader answers', async (_, foreign) => {
  const { cache, client } = await openCache(url);
  const unreadable = published<{ key: string }>('redcache:cache:unreadable');
  const [key, other] = [newKey(), newKey()];
  await client.set(key, foreign);
  await client.set(other, foreign);
  expect(await cache.get(key)).toBeUndefined();
  let runs = 0;
  const load = (): string => {
    runs += 1;
    return 'ours';
  };
  expect(await cache.get(key, load)).toBe('ours');
  expect(runs).toBe(1);
  expect(await client.get(key)).toMatch(/^rc1 v \S+ json \d+ 0 \d+ e\d+\n"ours"$/);
  expect(await cache.getMany([other, newKey()], () => ({ [other]: 'many' }))).toEqual(
    new Map([[other, 'many']]),
  );
  expect(unreadable.map((message) => message.key)).toContain(key);
});

test('bytes after our own header that are no text are replaced by what the loader answers', async () => {
  const { cache, client } = await openCache(url, { timeout: { hard: '1h' } });
  const key = newKey();
  const broken = Buffer.concat([Buffer.from(storedJson('')), Buffer.from([0xff, 0xfe])]);
  await client.set(key, broken);
  const from = cache.stats();
  expect(await cache.get(key, () => 'v')).toBe('v');
  expect(cache.stats().loads - from.loads).toBe(1);
  expect(cache.peek(key)).toEqual({ hit: true, value: 'v' });
  expect(await client.get(key)).toMatch(/\n"v"$/);
});

test("with foreign: 'raw' what cannot be named in text is left alone: the loader answers", async () => {
  const { cache, client } = await openCache(url, { foreign: 'raw' });
  const key = newKey();
  await client.set(key, Buffer.from([0xff, 0xfe]));
  expect(await cache.get(key, () => 'v')).toBe('v');
  expect(cache.peek(key).hit).toBe(false);
  expect(await client.strLen(key)).toBe(2);
});

test('a key of another type: the loader answers by policy, and the key stays as it is', async () => {
  const { cache, client } = await openCache(url);
  const key = newKey();
  await client.hSet(key, 'field', 'value');
  expect(await cache.get(key, () => 'v')).toBe('v');
  expect(await cache.getMany([key, newKey()], () => ({ [key]: 'v' }))).toEqual(
    new Map([[key, 'v']]),
  );
  await expect(cache.get(key, () => 'v', { onUnavailable: 'throw' })).rejects.toMatchObject({
    code: 'REDCACHE_UNAVAILABLE',
    cause: expect.objectContaining({ message: expect.stringContaining('WRONGTYPE') }),
  });
  expect(await client.hGetAll(key)).toMatchObject({ field: 'value' });
  expect(cache.peek(key).hit).toBe(false);
});

test('a value that looks like anything of ours is that value, in every process (I15)', async () => {
  const [one, two] = [await openCache(url), await openCache(url)];
  const values: unknown[] = [
    'rc1 l somebody\n',
    'rc1 n id 10000 0 0\n',
    'rc1 v id json 60000 0 0\n1',
    'rc2 v 0 0\n1',
    '',
    '\n',
    '\u0000\u{1f600}\ud800',
    { toString: 'x', constructor: null },
    [],
    {},
    0,
    false,
    null,
  ];
  for (const value of values) {
    const [loaded, set] = [newKey(), newKey()];
    expect(await one.cache.get<unknown>(loaded, () => value)).toEqual(value);
    expect(await two.cache.get(loaded, () => 'not asked')).toEqual(value);
    await one.cache.set(set, value);
    expect(await two.cache.get(set, () => 'not asked')).toEqual(value);
    expect(one.cache.peek(loaded)).toEqual({ hit: true, value });
  }
});

test("with foreign: 'raw' another program's value is read by the codec, and never replaced", async () => {
  const { cache, client } = await openCache(url, { foreign: 'raw' });
  const [ending, endless, broken] = [newKey(), newKey(), newKey()];
  await client.set(ending, '{"name":"Ada"}', { expiration: { type: 'PX', value: 60_000 } });
  await client.set(endless, '[1]');
  await client.set(broken, 'no JSON');
  expect(await cache.get(ending, () => 'not asked')).toEqual({ name: 'Ada' });
  expect(await cache.get(endless, () => 'not asked')).toEqual([1]);
  expect(await cache.get(broken, () => 'loaded')).toBe('loaded');
  expect(cache.peek(ending)).toEqual({ hit: true, value: { name: 'Ada' } });
  expect(await client.get(ending)).toBe('{"name":"Ada"}');
  await client.set(ending, '{"name":"Eve"}');
  await expect.poll(() => cache.get(ending)).toEqual({ name: 'Eve' });
});

test('another codec takes what stands there for absent, and replaces it by the next load', async () => {
  const [json, text] = [await openCache(url), await openCache(url, { codec: 'text' })];
  const key = newKey();
  await json.cache.set(key, 'by json');
  expect(await text.cache.get(key)).toBeUndefined();
  expect(await text.cache.get(key, () => 'by text')).toBe('by text');
  expect(await text.client.get(key)).toMatch(/^rc1 v \S+ text \d+ 0 \d+ e\d+\nby text$/);
  await expect(text.cache.set(key, 7)).rejects.toMatchObject({ code: 'REDCACHE_CODEC' });
});
