// What other caches show of writing, shown of ours; see docs/cache-aside-cases.md.
import { expect, inject, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { type LocalCache, newKey, openCache } from './local-cache.ts';

const { standalone: url } = inject('redis');
const open = (): Promise<LocalCache> => openCache(url, { timeout: { redis: '10s' } });

/** What Redis holds of keys, and when each ends. */
async function states({ client }: LocalCache, keys: readonly string[]): Promise<unknown[]> {
  return Promise.all(
    keys.flatMap((key) => [
      client.sendCommand(['GET', key]),
      client.sendCommand(['PEXPIRETIME', key]),
    ]),
  );
}

test('a writer of many that fails leaves all values and their times, empty ones too', async () => {
  const one = await open();
  const keys = [newKey(), newKey(), newKey()];
  await one.cache.setMany<unknown>([
    [keys[0] as string, ''],
    [keys[1] as string, undefined],
    [keys[2] as string, { n: 1 }],
  ]);
  const before = await states(one, keys);
  const error = new Error('no database');
  await expect(one.cache.writeMany(keys, () => Promise.reject(error))).rejects.toBe(error);
  expect(await states(one, keys)).toEqual(before);
  expect(await one.cache.get(keys[0] as string, () => expect.fail('it is there'))).toBe('');
  // And the keys are free.
  expect([...(await one.cache.writeMany(keys, () => ({}))).keys()]).toEqual([]);
});

test('a writer that fails when its caller has left leaves the value as well', async () => {
  const one = await open();
  const key = newKey();
  await one.cache.set(key, 'old');
  const before = await states(one, [key]);
  const leaving = new AbortController();
  let hasFailed = false;
  const written = one.cache.write(
    key,
    async () => {
      leaving.abort('left');
      await new Promise(setImmediate);
      hasFailed = true;
      throw new Error('no database');
    },
    { signal: leaving.signal },
  );
  await expect(written).rejects.toBe('left');
  await eventually(() => hasFailed);
  expect(await one.cache.write(key, () => Promise.reject(new Error('nor now'))).catch(String)).toBe(
    'Error: nor now',
  );
  expect(await states(one, [key])).toEqual(before);
});

test('whoever waits for one of many keys leaves without a writer, and takes none with him', async () => {
  const [one, other] = [await open(), await open()];
  // Locks are taken in the order of names.
  const [free, taken] = [newKey(), newKey()].toSorted() as [string, string];
  const held: (() => void)[] = [];
  const holding = other.cache.write(
    taken,
    () => new Promise<string>((resolve) => held.push(() => resolve('theirs'))),
  );
  await eventually(() => held.length === 1);
  const leaving = new AbortController();
  const unasked = (): never => expect.fail('the locks were not had');
  const written = one.cache.writeMany([free, taken], unasked, { signal: leaving.signal });
  await eventually(async () => (await one.client.exists(`{${free}}:redcache:write`)) === 1);
  const reason = new Error('bored');
  leaving.abort(reason);
  await expect(written).rejects.toBe(reason);
  expect(await other.cache.write(free, () => 'free')).toBe('free');
  held[0]?.();
  expect(await holding).toBe('theirs');
  expect(await one.cache.get(taken)).toBe('theirs');
});

test('writers and readers of one key at once: all settle, and the last word is a writer’s', async () => {
  const caches = [await open(), await open()];
  const key = newKey();
  let source = 0;
  const write = async (): Promise<number> => {
    const next = source + 1;
    await new Promise(setImmediate);
    source = next;
    return next;
  };
  await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const { cache } = caches[i % 2] as LocalCache;
      const [written, read] = await Promise.all([
        cache.write(key, write),
        cache.get(key, () => source),
      ]);
      expect(written).toBeGreaterThan(0);
      expect(read).toBeGreaterThanOrEqual(0);
    }),
  );
  expect(source).toBe(50);
  for (const { cache } of caches)
    await eventually(async () => (await cache.get(key, () => expect.fail('it is there'))) === 50);
});

test('set takes the place of what was loaded and of what was written, for every cache', async () => {
  const [one, other] = [await open(), await open()];
  const key = newKey();
  expect(await one.cache.get(key, () => 'loaded')).toBe('loaded');
  expect(await other.cache.get(key)).toBe('loaded');
  await one.cache.write(key, () => 'written');
  await eventually(async () => (await other.cache.get(key)) === 'written');
  await other.cache.setMany([[key, 'set']]);
  expect(await other.cache.get(key)).toBe('set');
  await eventually(async () => (await one.cache.get(key)) === 'set');
});
