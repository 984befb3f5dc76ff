// Values that are no text, and large ones, from a loader to Redis and back.
import { randomBytes } from 'node:crypto';
import { expect, inject, test } from 'vitest';
import { newKey, openCache } from './local-cache.ts';

const { standalone: url } = inject('redis');
const timeout = { redis: '10s' } as const;

test.each([
  ['no bytes', Buffer.alloc(0)],
  ['bytes that are no text', Buffer.from([0, 0xff, 0xfe, 0x0a, 0x80])],
  ['bytes that look like an envelope', Buffer.from('rc1 l mine\n')],
  ['a megabyte', randomBytes(2 ** 20)],
])('%s come back as they are, here, elsewhere and in many', async (_, bytes) => {
  const options = { codec: 'bytes', timeout } as const;
  const [one, two] = [await openCache(url, options), await openCache(url, options)];
  // Not by toEqual, which looks at each byte for long.
  const isSame = (found: unknown): boolean => Buffer.isBuffer(found) && bytes.equals(found);
  const [loaded, set, renewed] = [newKey(), newKey(), newKey()];
  const keys = [loaded, set, renewed];
  expect(isSame(await one.cache.get(loaded, () => bytes))).toBe(true);
  await one.cache.set(set, bytes);
  await one.cache.set(renewed, Buffer.from('old'));
  expect(isSame(await one.cache.get(renewed, () => bytes, { refresh: true }))).toBe(true);
  for (const { cache } of [one, two]) {
    for (const key of keys) expect(isSame(await cache.get(key))).toBe(true);
    const found = await cache.getMany(keys);
    expect(keys.map((key) => isSame(found.get(key)))).toEqual([true, true, true]);
  }
});

test('bytes that somebody changes are his own', async () => {
  const { cache } = await openCache(url, { codec: 'bytes', timeout });
  const key = newKey();
  const given = Buffer.from('abc');
  const first = (await cache.get<Buffer>(key, () => given)) as Buffer;
  first[0] = 0;
  given[1] = 0;
  expect(String(await cache.get(key))).toBe('abc');
});

test('bytes of another codec that stand in a key are replaced, and those of another program too', async () => {
  const { cache, client } = await openCache(url, { codec: 'bytes', timeout });
  const [foreign, text] = [newKey(), newKey()];
  await client.set(foreign, Buffer.from([0xff, 0xfe]));
  await client.set(text, 'rc1 v id json 60000 0 0 e9007199254740991\n1');
  for (const key of [foreign, text])
    expect(await cache.get(key, () => Buffer.from('ours'))).toEqual(Buffer.from('ours'));
  for (const key of [foreign, text])
    expect(String(await client.get(key))).toMatch(/^rc1 v \S+ bytes \d+ 0 \d+ e\d+\nours$/);
});

test.each(['brotli', 'gzip', 'deflate'] as const)(
  '%s: what is large is stored small, whoever reads it',
  async (algorithm) => {
    const one = await openCache(url, { compress: { above: 1_000, algorithm }, timeout });
    const two = await openCache(url, { timeout });
    // Below and above what is compressed in one turn.
    const values = ['short', 'long '.repeat(1_000), 'very long '.repeat(100_000)];
    for (const value of values) {
      const [loaded, set, many] = [newKey(), newKey(), newKey()];
      expect(await one.cache.get(loaded, () => value)).toBe(value);
      await one.cache.set(set, value);
      await one.cache.getMany([many], () => ({ [many]: value }));
      const keys = [loaded, set, many];
      for (const key of keys) {
        const stored = Number(await one.client.strLen(key));
        if (value.length > 1_000) expect(stored).toBeLessThan(value.length / 5);
        else expect(stored).toBeGreaterThanOrEqual(value.length);
      }
      expect(await two.cache.get(loaded, () => 'not asked')).toBe(value);
      expect(await two.cache.getMany(keys)).toEqual(new Map(keys.map((key) => [key, value])));
      await two.cache.expire(loaded);
      expect(await two.cache.get(loaded, () => 'new')).toBe('new');
    }
  },
);

test('one of many that is compressed, and one that is broken, keep nothing from the others', async () => {
  const one = await openCache(url, { compress: { above: 100 }, timeout });
  const two = await openCache(url, { timeout });
  const [small, large, broken] = [newKey(), newKey(), newKey()];
  await one.cache.setMany([
    [small, 'small'],
    [large, 'large '.repeat(1_000)],
    [broken, 'broken '.repeat(1_000)],
  ]);
  // Its header is as it was; what follows is not.
  const length = Number(await one.client.strLen(broken));
  await one.client.setRange(broken, length - 4, '####');
  const found = await two.cache.getMany([small, large, broken], () => ({ [broken]: 'loaded' }));
  expect(found).toEqual(
    new Map([
      [small, 'small'],
      [large, 'large '.repeat(1_000)],
      [broken, 'loaded'],
    ]),
  );
});
