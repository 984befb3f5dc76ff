// What other caches show of reading, one key and many, shown of ours; see docs/cache-aside-cases.md.
import { expect, inject, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { type LocalCache, loader, newKey, openCache } from './local-cache.ts';

const { standalone: url } = inject('redis');
/** Nothing here waits for Redis any longer than it takes. */
const open = (options = {}): Promise<LocalCache> =>
  openCache(url, { timeout: { redis: '10s' }, ...options });
const THEIRS = 'rc1 l theirs\n';

test.each([100, 10_000])('%d callers of a cold key: one load, and one look', async (callers) => {
  const { cache } = await open();
  const [key, { load, runs }] = [newKey(), loader()];
  const reads = Array.from({ length: callers }, () => cache.get(key, load));
  await eventually(() => runs.length === 1);
  runs[0]?.answer('v');
  expect(new Set(await Promise.all(reads))).toEqual(new Set(['v']));
  expect(runs).toHaveLength(1);
  expect(cache.stats()).toMatchObject({ misses: 1, loads: 1, coalesced: callers - 1 });
});

test('a load that nobody disturbs loses no lease and waits for nobody', async () => {
  const { cache } = await open();
  const [one, a, b] = [newKey(), newKey(), newKey()];
  expect(await cache.get(one, () => 'v')).toBe('v');
  expect(await cache.getMany([a, b], () => ({ [a]: 1, [b]: 2 }))).toEqual(
    new Map([
      [a, 1],
      [b, 2],
    ]),
  );
  expect(cache.stats()).toMatchObject({ misses: 3, loads: 3, waits: 0, lostLeases: 0 });
});

test('of many keys, one whose loader is heard of no more is loaded at the end of his lease', async () => {
  const { cache, client } = await open();
  const [theirs, ...free] = [newKey(), newKey(), newKey()] as [string, string, string];
  await client.sendCommand(['SET', theirs, THEIRS, 'PX', '200']);
  const asked: string[][] = [];
  const found = await cache.getMany([theirs, ...free], (keys) => {
    asked.push(keys);
    return new Map(keys.map((key) => [key, `of ${key}`]));
  });
  // What is free is not kept waiting.
  expect(asked).toEqual([free, [theirs]]);
  expect([...found.values()]).toEqual([theirs, ...free].map((key) => `of ${key}`));
});

test('sets that overlap, asked for over and over by two caches: all are right, each key is loaded once', async () => {
  const caches = [await open(), await open()];
  const keys = Array.from({ length: 6 }, newKey);
  const loads = new Map<string, number>();
  const load = async (names: string[]): Promise<Map<string, string>> => {
    for (const name of names) loads.set(name, (loads.get(name) ?? 0) + 1);
    await new Promise(setImmediate);
    return new Map(names.map((name) => [name, `of ${name}`]));
  };
  const sets = [keys.slice(0, 3), keys.slice(3), keys.slice(1, 5).reverse(), keys];
  await Promise.all(
    Array.from({ length: 100 }, async (_, i) => {
      const set = sets[i % sets.length] as string[];
      const found = await (caches[i % 2] as LocalCache).cache.getMany(set, load);
      expect([...found]).toEqual(set.map((key) => [key, `of ${key}`]));
    }),
  );
  expect(loads).toEqual(new Map(keys.map((key) => [key, 1])));
});

test('one of many that is written while they are loaded is what was written', async () => {
  const { cache } = await open();
  const other = await open();
  const [kept, written] = [newKey(), newKey()];
  const loaded = await cache.getMany([kept, written], async () => {
    await other.cache.set(written, 'written');
    return { [kept]: 'loaded', [written]: 'outdated' };
  });
  // Its caller gets what was loaded for him; nobody after him does.
  expect([...loaded.values()]).toEqual(['loaded', 'outdated']);
  for (const each of [cache, other.cache])
    expect([...(await each.getMany([kept, written])).values()]).toEqual(['loaded', 'written']);
  expect(cache.stats().lostLeases).toBe(1);
});

test('whoever waits for the load of another process leaves with his own reason', async () => {
  const { cache, client } = await open();
  const key = newKey();
  await client.sendCommand(['SET', key, THEIRS, 'PX', '3600000']);
  const leaving = new AbortController();
  const load = () => expect.fail('another process loads it');
  const read = cache.get(key, load, { signal: leaving.signal });
  await eventually(() => cache.stats().waits === 1);
  const reason = new Error('bored');
  leaving.abort(reason);
  await expect(read).rejects.toBe(reason);
  expect(await client.get(key)).toBe(THEIRS);
});

test("with onAbandoned 'finish' a load whose callers have left goes on, and is stored", async () => {
  const [one, other] = [await open({ onAbandoned: 'finish' }), await open()];
  const [key, { load, runs }] = [newKey(), loader()];
  const leaving = new AbortController();
  const reads = [1, 2].map(() => one.cache.get(key, load, { signal: leaving.signal }));
  await eventually(() => runs.length === 1);
  leaving.abort('left');
  for (const read of reads) await expect(read).rejects.toBe('left');
  expect(runs[0]?.signal.aborted).toBe(false);
  // Whoever comes later joins it.
  const later = one.cache.get(key, load);
  runs[0]?.answer('v');
  expect(await later).toBe('v');
  expect(await other.cache.get(key, () => expect.fail('it is there'))).toBe('v');
  expect(runs).toHaveLength(1);
});

test('with ttlJitter no two of many keys need end together, and none later than its TTL', async () => {
  const one = await open({ ttl: '1h', ttlJitter: 0.5 });
  const keys = Array.from({ length: 50 }, newKey);
  await one.cache.getMany(keys, (names) => new Map(names.map((name) => [name, 1])));
  await one.cache.setMany(keys.slice(0, 25).map((key) => [key, 2]));
  const ends = await Promise.all(keys.map((key) => one.client.pTTL(key)));
  expect(new Set(ends.map((ms) => Math.round(Number(ms) / 60_000))).size).toBeGreaterThan(3);
  for (const ms of ends) {
    expect(Number(ms)).toBeGreaterThan(1_700_000);
    expect(Number(ms)).toBeLessThanOrEqual(3_600_000);
  }
});

test('a loader that waits for its own key ends at the hard timeout, and the key is free', async () => {
  const { cache } = await open();
  const key = newKey();
  const hanging = (): Promise<unknown> => cache.get(key, () => 'of the inner one');
  await expect(cache.get(key, hanging, { timeout: { hard: '300ms' } })).rejects.toMatchObject({
    code: 'REDCACHE_LOAD_TIMEOUT',
  });
  expect(await cache.get(key, () => 'v')).toBe('v');
});

test('a lease that is short: hundreds of callers of two caches get the value', async () => {
  const caches = [await open({ lease: '100ms' }), await open({ lease: '100ms' })];
  const key = newKey();
  let loads = 0;
  const load = async (): Promise<string> => {
    loads += 1;
    await new Promise((resolve) => setTimeout(resolve, 5));
    return 'v';
  };
  const reads = Array.from({ length: 400 }, (_, i) =>
    (caches[i % 2] as LocalCache).cache.get(key, load),
  );
  expect(new Set(await Promise.all(reads))).toEqual(new Set(['v']));
  // One, unless a process was stopped for longer than its lease.
  expect(loads).toBeGreaterThan(0);
  expect(loads).toBeLessThan(10);
});

test('a loader that finds nothing may say for how long that holds', async () => {
  const [one, other] = [await open(), await open()];
  const key = newKey();
  const nothing = (_: string, ctx: { ttl(duration: '1h'): void }): void => ctx.ttl('1h');
  expect(await one.cache.get(key, nothing)).toBeUndefined();
  expect(Number(await one.client.pTTL(key))).toBeGreaterThan(3_000_000);
  expect(await other.cache.get(key, () => expect.fail('it is known'))).toBeUndefined();
});

test('no keys at all: nothing is sent and nobody called', async () => {
  const { cache } = await open();
  const uncalled = (): never => expect.fail('there are no keys');
  expect(await cache.getMany([], uncalled)).toEqual(new Map());
  expect(await cache.writeMany([], uncalled)).toEqual(new Map());
  expect(await cache.touchMany([], '1h')).toEqual(new Set());
  await cache.setMany([]);
  await cache.deleteMany([]);
  expect(cache.stats()).toMatchObject({ loads: 0, writes: 0 });
});
