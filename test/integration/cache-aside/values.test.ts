import { expect, inject, test } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { newKey, openCache, storedJson } from './local-cache.ts';

const { standalone: url } = inject('redis');

test('an absence is known here and in every process for negativeTtl, other empty values for ttl', async () => {
  const options = { ttl: '1h', negativeTtl: '5s' } as const;
  const [one, two] = [await openCache(url, options), await openCache(url, options)];
  const absent = newKey();
  expect(await one.cache.get(absent, () => undefined)).toBeUndefined();
  expect(one.cache.peek(absent)).toEqual({ hit: true, value: undefined });
  expect(await two.cache.get(absent, () => 'not asked')).toBeUndefined();
  expect(await one.client.pTTL(absent)).toBeLessThanOrEqual(5_000);
  for (const value of [null, '', 0, false]) {
    const key = newKey();
    expect(await one.cache.get<unknown>(key, () => value)).toBe(value);
    expect(await two.cache.get(key, () => 'not asked')).toBe(value);
    expect(await one.client.pTTL(key)).toBeGreaterThan(5_000);
  }
});

test('set with undefined records an absence, set with a value ends it', async () => {
  const { cache, client } = await openCache(url, { negativeTtl: '5s' });
  const key = newKey();
  await cache.set(key, undefined);
  expect(await cache.get(key, () => 'not asked')).toBeUndefined();
  expect(await client.pTTL(key)).toBeLessThanOrEqual(5_000);
  await cache.set(key, 'v', { ttl: '7s' });
  expect(await cache.get(key, () => 'not asked')).toBe('v');
  expect(await client.pTTL(key)).toBeGreaterThan(5_000);
});

test('a copy here ends with its key in Redis, or before it with localTtl', async () => {
  const { cache, engine, client } = await openCache(url);
  const [short, local] = [newKey(), newKey()];
  await client.set(short, storedJson('1'), {
    expiration: { type: 'PX', value: 5_000 },
  });
  const nowMs = engine.clock.nowMs();
  expect(await cache.get(short)).toBe(1);
  expect(await cache.get(local, () => 2, { ttl: '1h', localTtl: '3s' })).toBe(2);
  const deadlineOf = (key: string): number => (engine.lookup(key)?.deadlineAtMs ?? 0) - nowMs;
  expect(deadlineOf(short)).toBeGreaterThan(0);
  expect(deadlineOf(short)).toBeLessThanOrEqual(5_000 + engine.clock.nowMs() - nowMs);
  expect(deadlineOf(local)).toBeGreaterThan(0);
  expect(deadlineOf(local)).toBeLessThanOrEqual(3_000 + engine.clock.nowMs() - nowMs);
  expect(await client.pTTL(local)).toBeGreaterThan(3_000);
});

test('the loading call gets what everybody gets: decoded, frozen, the same copy', async () => {
  const { cache } = await openCache(url);
  const other = await openCache(url);
  const key = newKey();
  const own = { at: new Date(0), list: [{ n: 1 }] };
  const [first, second] = await Promise.all([cache.get<object>(key, () => own), cache.get(key)]);
  expect(first).toEqual({ at: '1970-01-01T00:00:00.000Z', list: [{ n: 1 }] });
  expect(Object.isFrozen(own)).toBe(false);
  const again = (await cache.get(key)) as { list: { n: number }[] };
  expect(again).toBe(first);
  expect(second === undefined || second === first || typeof second === 'object').toBe(true);
  expect(() => {
    (again.list[0] as { n: number }).n = 2;
  }).toThrow(TypeError);
  expect(await other.cache.get(key)).toEqual(first);
});

test("freeze 'clone' gives each caller a copy of his own; false shares one that may change", async () => {
  type Value = { n: number };
  const clone = await openCache(url, { freeze: 'clone' });
  const key = newKey();
  const load = (): Value => ({ n: 1 });
  const [a, b] = await Promise.all([clone.cache.get(key, load), clone.cache.get(key, load)]);
  (a as Value).n = 2;
  expect(b).toEqual({ n: 1 });
  // The first is a hit as well as the second, so neither is what is kept here.
  for (let hit = 0; hit < 2; hit += 1) {
    const own = (await clone.cache.get(key, load)) as Value;
    expect(own).toEqual({ n: 1 });
    own.n = 3;
  }
  expect((await clone.cache.getMany<Value>([key])).get(key)).toEqual({ n: 1 });
  const shared = await openCache(url, { freeze: false });
  const kept = (await shared.cache.get(key, load)) as Value;
  kept.n = 3;
  expect(await shared.cache.get(key, load)).toBe(kept);
});

test('peek answers from this process alone, without waiting', async () => {
  const [one, two] = [await openCache(url), await openCache(url)];
  const key = newKey();
  await one.cache.get(key, () => 'v');
  expect(one.cache.peek(key)).toEqual({ hit: true, value: 'v' });
  expect(two.cache.peek(key)).toEqual({ hit: false });
});

test('namespaces keep caches over one client apart', async () => {
  const { cache, client } = await openCache(url, { namespace: 'shop' });
  const key = newKey();
  await cache.set(key, 'v');
  expect(await client.exists([key])).toBe(0);
  expect(await client.exists([`shop:${key}`])).toBe(1);
  await cache.delete(key);
  expect(await client.exists([`shop:${key}`])).toBe(0);
});

test('a key is loaded once by two caches over one client, and a delete reaches both', async () => {
  const { createCache } = await import('@redcache/cache-aside');
  const { cache: one, client } = await openCache(url);
  const two = createCache({ client });
  try {
    const key = newKey();
    let runs = 0;
    let answer = (_: string): void => {};
    const load = (): Promise<string> => {
      runs += 1;
      return new Promise((resolve) => {
        answer = resolve;
      });
    };
    const first = one.get(key, load);
    await eventually(() => runs === 1);
    const second = two.get(key, load);
    await eventually(() => two.stats().waits === 1);
    answer('v');
    expect([await first, await second]).toEqual(['v', 'v']);
    expect(runs).toBe(1);
    await two.delete(key);
    expect(one.peek(key).hit).toBe(false);
  } finally {
    await two.close();
  }
});

test('a write through one process is read by every other at once, and by its own', async () => {
  const [one, two] = [await openCache(url), await openCache(url)];
  const key = newKey();
  for (let version = 1; version <= 200; version++) {
    await one.cache.set(key, version);
    expect(await one.cache.get(key)).toBe(version);
    await eventually(async () => (await two.cache.get(key)) === version, Boolean, { everyMs: 0 });
    await two.cache.delete(key);
    expect(await two.cache.get(key, () => -version)).toBe(-version);
  }
});

test('however many callers ask for a cold key, Redis is asked as for one', async () => {
  await using server = await startStandalone();
  const { cache, client } = await openCache(server.url);
  await cache.get('warm-up', () => 1);
  const count = async (work: () => Promise<unknown>): Promise<Record<string, number>> => {
    await client.configResetStat();
    await work();
    const info = await client.info('commandstats');
    const calls = info.matchAll(/cmdstat_(\w+):calls=(\d+)/g);
    return Object.fromEntries([...calls].map(([, name, n]) => [name, Number(n)]));
  };
  const one = await count(() => cache.get('one', () => 1));
  const crowd = await count(() =>
    Promise.all(Array.from({ length: 500 }, () => cache.get('crowd', () => 1))),
  );
  expect(one).toMatchObject({ evalsha: 2 });
  expect(crowd).toEqual(one);
  const local = await count(() =>
    Promise.all(Array.from({ length: 500 }, () => cache.get('crowd', () => 1))),
  );
  expect(local).not.toHaveProperty('get');
  expect(local).not.toHaveProperty('evalsha');
});
