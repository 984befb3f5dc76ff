import { expect, inject, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { newKey, openCache, storedJson } from './local-cache.ts';

const { standalone: url } = inject('redis');

test('duplicates, keys cached here and there, absent, loading elsewhere and missing, in one call', async () => {
  const { cache, client } = await openCache(url);
  const other = await openCache(url);
  const [local, remote, absentHere, absentThere, elsewhere, missing, none] = Array.from(
    { length: 7 },
    newKey,
  ) as [string, string, string, string, string, string, string];
  await cache.get(local, () => 'local');
  await other.cache.set(remote, 'remote');
  await cache.get(absentHere, () => undefined);
  await other.cache.set(absentThere, undefined);
  await client.sendCommand(['SET', elsewhere, 'rc1 l theirs\n', 'PX', '3600000']);

  const asked: string[][] = [];
  const found = cache.getMany(
    [missing, local, remote, missing, absentHere, absentThere, elsewhere, local, none],
    async (keys) => {
      asked.push(keys);
      return new Map([[missing, 'loaded']]);
    },
  );
  await eventually(() => cache.stats().waits === 1 && asked.length === 1);
  await client.sendCommand(['SET', elsewhere, storedJson('"theirs"'), 'PX', '60000']);
  expect([...(await found)]).toEqual([
    [missing, 'loaded'],
    [local, 'local'],
    [remote, 'remote'],
    [elsewhere, 'theirs'],
  ]);
  // Once, with what nobody else has or is loading.
  expect(asked).toEqual([[missing, none]]);
  // A key the loader left out is known to be absent, here and there.
  expect(cache.peek(none)).toEqual({ hit: true, value: undefined });
  expect(await other.cache.get(none, () => 'not asked')).toBeUndefined();
  const ttlMs = Number(await client.sendCommand(['PTTL', none]));
  expect(ttlMs).toBeGreaterThan(0);
  expect(ttlMs).toBeLessThanOrEqual(10_000);
});

test('a loader that throws: the same error for everybody, and all keys are free again', async () => {
  const { cache, client } = await openCache(url);
  const keys = [newKey(), newKey(), newKey()];
  const error = new Error('no database');
  let begin = (): void => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  let fail = (): void => {};
  const many = cache.getMany(
    keys,
    () =>
      new Promise((_, reject) => {
        fail = () => reject(error);
        begin();
      }),
  );
  await begun;
  const one = cache.get(keys[1] as string, () => 'not asked');
  fail();
  await expect(many).rejects.toBe(error);
  await expect(one).rejects.toBe(error);
  const found = await cache.getMany(keys, (wanted) =>
    Object.fromEntries(wanted.map((key) => [key, 'again'])),
  );
  expect(found.size).toBe(3);
  expect(await client.sendCommand(['EXISTS', ...keys])).toBe(3);
});

test('an answer that is no Map and no object is a ConfigError, and frees the keys', async () => {
  const { cache, client } = await openCache(url);
  const key = newKey();
  await expect(cache.getMany([key], () => ['v'] as never)).rejects.toMatchObject({
    code: 'REDCACHE_CONFIG',
  });
  await eventually(async () => (await client.exists(key)) === 0);
});

test('one value that cannot be stored fails the call; the others are stored', async () => {
  const { cache } = await openCache(url);
  const [good, bad] = [newKey(), newKey()];
  const values = { [good]: 1, [bad]: 1n };
  await expect(cache.getMany([good, bad], () => values)).rejects.toMatchObject({
    code: 'REDCACHE_CODEC',
    key: bad,
  });
  expect(await cache.get(good, () => 'not asked')).toBe(1);
  expect(await cache.get(bad, () => 'asked')).toBe('asked');
});

test('1 200 keys: one loader call with all that are missing, all of them local afterwards', async () => {
  // What is stored too late for the budget is not kept here.
  const { cache } = await openCache(url, { timeout: { redis: '10s' } });
  const keys = Array.from({ length: 1_200 }, newKey);
  await Promise.all(keys.slice(0, 100).map((key) => cache.set(key, `set ${key}`)));
  const asked: string[][] = [];
  const load = (wanted: string[]): Map<string, string> => {
    asked.push(wanted);
    return new Map(wanted.map((key) => [key, `loaded ${key}`]));
  };
  const { signal } = new AbortController();
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on('warning', onWarning);
  const found = await cache.getMany(keys, load, { signal });
  process.off('warning', onWarning);
  expect([...found.keys()]).toEqual(keys);
  expect(asked).toEqual([keys.slice(100)]);
  expect(found.get(keys[0] as string)).toBe(`set ${keys[0]}`);
  expect(found.get(keys[1_199] as string)).toBe(`loaded ${keys[1_199]}`);
  expect(warnings).toEqual([]);
  // The pushes of our own fills evict none of them (R4).
  const before = cache.stats().localHits;
  expect(await cache.getMany(keys, load)).toEqual(found);
  expect(cache.stats().localHits - before).toBe(1_200);
  expect(asked).toHaveLength(1);
});

test('without a loader only what is there is answered, and no keys are no command', async () => {
  const { cache } = await openCache(url);
  const [there, not] = [newKey(), newKey()];
  await cache.set(there, 1);
  expect([...(await cache.getMany([not, there]))]).toEqual([[there, 1]]);
  expect(await cache.getMany([])).toEqual(new Map());
  await cache.deleteMany([]);
});

test('deleteMany deletes each once', async () => {
  const { cache, client } = await openCache(url, { namespace: 'many' });
  const keys = Array.from({ length: 1_001 }, newKey);
  await cache.getMany(keys, (wanted) => Object.fromEntries(wanted.map((key) => [key, 1])));
  await cache.deleteMany([...keys, ...keys]);
  expect(await client.sendCommand(['EXISTS', ...keys.map((key) => `many:${key}`)])).toBe(0);
  for (const key of keys) expect(cache.peek(key).hit).toBe(false);
  expect(cache.stats().deletes).toBe(1_001);
});
