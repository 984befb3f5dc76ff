import { ClosedError, ConfigError } from '@redcache/core';
import { afterEach, expect, test } from 'vitest';
import { type FamilyWarmProgress, WarmError } from '../../src/index.ts';
import { createTestCache, type TestCache } from '../../src/testing/index.ts';

let cache: TestCache = createTestCache();
afterEach(async () => {
  await cache.close();
  expect(cache.redis.clock.timers).toBe(0);
  cache = createTestCache();
});

async function* upTo(count: number): AsyncGenerator<number> {
  for (let id = 1; id <= count; id++) yield id;
}

test('loads ids by loadMany, in batches, and skips them another time', async () => {
  const calls: number[][] = [];
  const users = cache.define({
    name: 'user',
    loadMany: async (ids: number[]) => {
      calls.push(ids);
      return new Map(ids.map((id) => [id, { id }]));
    },
  });
  const heard: FamilyWarmProgress<number>[] = [];
  const first = await users.warm(upTo(10), {
    ...{ batchSize: 4, concurrency: 1, total: 10 },
    onProgress: (progress) => heard.push(progress),
  });
  expect(calls).toEqual([
    [1, 2, 3, 4],
    [5, 6, 7, 8],
    [9, 10],
  ]);
  expect(first).toMatchObject({ done: 10, loaded: 10, lastId: 10, lastKey: 'user:10', etaMs: 0 });
  expect(heard[0]).toMatchObject({ done: 4, lastId: 4, total: 10 });
  expect(heard.at(-1)).toEqual(first);
  expect(users.peek(3)).toEqual({ hit: false });
  expect(await users.get(3)).toEqual({ id: 3 });
  expect(await users.warm(new Set([3, 3, 4]))).toMatchObject({ loaded: 0, skipped: 2, total: 2 });
  expect(calls).toHaveLength(3);
  expect(users.stats().loads).toBe(10);
});

test('without loadMany each id is loaded by itself, and one that fails keeps no other from it', async () => {
  const no = new Error('no');
  let running = 0;
  let most = 0;
  const users = cache.define({
    name: 'user',
    load: async (id: number) => {
      running += 1;
      most = Math.max(most, running);
      await Promise.resolve();
      running -= 1;
      if (id === 7) throw no;
      return id === 8 ? undefined : `user ${id}`;
    },
  });
  const error = await users.warm(upTo(100)).catch((reason) => reason);
  expect(error).toBeInstanceOf(WarmError);
  expect(error.failed).toEqual(['user:7']);
  expect(error.errorFor(users.nameOf(7))).toBe(no);
  expect(error.progress).toMatchObject({ done: 100, loaded: 99, failed: 1, lastId: 100 });
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(32);
  expect(await users.get(8)).toBeUndefined();
  expect(users.stats().loads).toBe(100);
});

test('ids that are objects are called by key, and come back as they are', async () => {
  interface Place {
    readonly tenant: string;
    readonly id: number;
  }
  const asked: Place[] = [];
  const places = cache.define({
    name: 'place',
    key: ({ tenant, id }: Place) => `${tenant}/${id}`,
    tags: ['all'],
    loadMany: async (ids) => {
      asked.push(...ids);
      return new Map(ids.map((id) => [id, id.tenant]));
    },
  });
  const ids = [
    { tenant: 'a', id: 1 },
    { tenant: 'b', id: 1 },
    { tenant: 'a', id: 1 },
  ];
  const progress = await places.warm(ids, { localTtl: '1m' });
  expect(progress).toMatchObject({ done: 3, loaded: 2, skipped: 1, total: 3 });
  expect(progress.lastId).toBe(ids[2]);
  expect(asked).toEqual(ids.slice(0, 2));
  expect(await places.get({ tenant: 'b', id: 1 })).toBe('b');
  expect(places.peek({ tenant: 'b', id: 1 })).toEqual({ hit: true, value: 'b' });
  await cache.invalidateTag('all');
  expect(await places.warm(ids)).toMatchObject({ loaded: 2 });
});

test('an abort ends it at once, and tells the loader', async () => {
  const aborting = new AbortController();
  let told: AbortSignal | undefined;
  const users = cache.define<number, string>({
    name: 'user',
    loadMany: (_, { signal }) => {
      told = signal;
      return new Promise(() => {});
    },
  });
  const warming = users.warm(upTo(1_000), { signal: aborting.signal });
  warming.catch(() => {});
  while (told === undefined) await cache.advance(1);
  const reason = new Error('enough');
  aborting.abort(reason);
  await expect(warming).rejects.toBe(reason);
  await cache.advance(1);
  expect(told.aborted).toBe(true);
});

test('refuses ids that are none, families without loaders, and a cache that is closed', async () => {
  const bare = cache.define<number, string>({ name: 'bare' });
  await expect(bare.warm([1])).rejects.toBeInstanceOf(ConfigError);
  const users = cache.define({ name: 'user', load: (id: number) => id });
  await expect(users.warm([1, Number.NaN])).rejects.toBeInstanceOf(ConfigError);
  await expect(users.warm(42 as never)).rejects.toBeInstanceOf(ConfigError);
  await expect(users.warm([1], { batchSise: 1 } as never)).rejects.toThrow('batchSise');
  await expect(users.warm([1], { onProgress: 1 } as never)).rejects.toBeInstanceOf(ConfigError);
  await cache.close();
  await expect(users.warm([1])).rejects.toBeInstanceOf(ClosedError);
});
