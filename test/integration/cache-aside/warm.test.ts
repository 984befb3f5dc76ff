import type { WarmError, WarmProgress } from '@redcache/cache-aside';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { newKey, openCache, published } from './local-cache.ts';

const { standalone: url } = inject('redis');

const newKeys = (count: number): string[] => Array.from({ length: count }, newKey);

/** What the cache keeps here for itself, and far fewer than are warmed. */
const A_FEW = 10;

/** A source of rows that knows what it was asked for, and how many asked it at a time. */
function source() {
  const asked: string[] = [];
  let running = 0;
  let most = 0;
  const load = async (keys: string[]): Promise<Map<string, string>> => {
    asked.push(...keys);
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    return new Map(keys.map((key) => [key, `row ${key}`]));
  };
  return { asked, load, most: () => most };
}

async function* oneByOne(keys: readonly string[]): AsyncGenerator<string> {
  for (const key of keys) {
    await Promise.resolve();
    yield key;
  }
}

test('1 000 keys: all in Redis and none here, and a second run loads none of them', async () => {
  const { cache, client, engine } = await openCache(url);
  const keys = newKeys(1_000);
  const { asked, load, most } = source();
  let calls = 0;
  let secondCame = (): void => {};
  const second = new Promise<void>((resolve) => {
    secondCame = resolve;
  });
  const heard: WarmProgress[] = [];
  const overlapping = async (wanted: string[]): Promise<Map<string, string>> => {
    calls += 1;
    if (calls === 2) secondCame();
    const [rows] = await Promise.all([load(wanted), second]);
    return rows;
  };
  const first = await cache.warm(oneByOne(keys), overlapping, {
    ...{ concurrency: 3, batchSize: 64, ttl: '1h', total: 1_000 },
    onProgress: (progress) => heard.push(progress),
  });
  expect(first).toMatchObject({ done: 1_000, loaded: 1_000, skipped: 0, failed: 0, etaMs: 0 });
  expect(first.lastKey).toBe(keys.at(-1));
  expect(heard.at(-1)).toEqual(first);
  expect([...asked].sort()).toEqual([...keys].sort());
  expect(most()).toBeLessThanOrEqual(3);
  expect(await client.sendCommand(['EXISTS', ...keys])).toBe(1_000);
  const ttlMs = Number(await client.sendCommand(['PTTL', keys[0] as string]));
  expect(ttlMs).toBeGreaterThan(3_000_000);
  expect(keys.filter((key) => cache.peek(key).hit)).toEqual([]);
  expect(engine.stats().entries).toBeLessThan(A_FEW);

  const again = await cache.warm(keys, load);
  expect(again).toMatchObject({ done: 1_000, loaded: 0, skipped: 1_000, total: 1_000 });
  expect(asked).toHaveLength(1_000);
  expect(engine.stats().entries).toBeLessThan(A_FEW);

  const other = await openCache(url);
  const row = await other.cache.get(keys[500] as string, () => 'not asked');
  expect(row).toBe(`row ${keys[500]}`);
  const anew = await cache.warm(keys.slice(0, 10), load, { refresh: true });
  expect(anew).toMatchObject({ loaded: 10, skipped: 0 });
});

test('with localTtl copies stay here, and nothing is sent for them another time', async () => {
  const { cache, client } = await openCache(url);
  const keys = newKeys(10);
  const { load } = source();
  await cache.warm(keys, load, { localTtl: '1m' });
  expect(cache.peek(keys[3] as string)).toEqual({ hit: true, value: `row ${keys[3]}` });
  const before = cache.stats().localHits;
  await cache.warm(keys, load);
  expect(cache.stats().localHits - before).toBe(10);
  // Somebody else's change is heard here as of any other copy.
  await client
    .duplicate({ clientSideCache: undefined as never })
    .connect()
    .then(async (other) => {
      await other.sendCommand(['DEL', keys[3] as string]);
      other.destroy();
    });
  await eventually(() => !cache.peek(keys[3] as string).hit);
});

test.each(['two caches', 'one cache'])(
  'two runs at once in %s: each key is loaded by one',
  async (where) => {
    const one = await openCache(url);
    const other = where === 'one cache' ? one : await openCache(url);
    const keys = newKeys(400);
    const { asked, load } = source();
    const options = { batchSize: 40 };
    const [mine, theirs] = await Promise.all([
      one.cache.warm(keys, load, options),
      other.cache.warm(oneByOne([...keys].reverse()), load, options),
    ]);
    expect(asked).toHaveLength(400);
    expect(new Set(asked).size).toBe(400);
    expect(mine.loaded + theirs.loaded).toBe(400);
    expect(mine.done + theirs.done).toBe(800);
  },
);

test('what was made stale by its tag is loaded anew', async () => {
  const { cache } = await openCache(url);
  const keys = newKeys(4);
  const { load, asked } = source();
  const tags = (row: string): string[] => [row.endsWith(keys[0] as string) ? newTag : 'others'];
  const newTag = newKey();
  await cache.warm(keys, load, { tags });
  await cache.invalidateTag(newTag);
  expect(await cache.warm(keys, load, { tags })).toMatchObject({ loaded: 1, skipped: 3 });
  expect(asked.slice(4)).toEqual([keys[0]]);
});

test('what has aged is loaded anew; where that fails it stands, and counts as failed', async () => {
  const { cache, client } = await openCache(url, { ttl: '1m', grace: '1h', staleIfError: '1h' });
  const [good, bad] = newKeys(2) as [string, string];
  await cache.setMany([
    [good, 'old'],
    [bad, 'old'],
  ]);
  await cache.expire(good);
  await cache.expire(bad);
  const error = new Error('no database');
  const run = cache.warm(
    [good, bad],
    async ([key]) => {
      if (key === bad) throw error;
      return { [good]: 'new' };
    },
    { batchSize: 1 },
  );
  const thrown = (await run.catch((reason: unknown) => reason)) as WarmError;
  expect(thrown.progress).toMatchObject({ done: 2, loaded: 1, skipped: 0, failed: 1 });
  expect(thrown.errorFor(bad)).toBe(error);
  expect(await cache.get(good, () => 'not asked')).toBe('new');
  expect(String(await client.get(bad))).toContain('old');
});

test('a batch that fails and a value that cannot be stored: all others are there', async () => {
  const { cache, client } = await openCache(url);
  const keys = newKeys(9);
  const error = new Error('no database');
  const run = cache.warm(
    keys,
    async (wanted) => {
      if (wanted.includes(keys[4] as string)) throw error;
      return Object.fromEntries(wanted.map((key) => [key, key === keys[8] ? 1n : 1]));
    },
    { batchSize: 3 },
  );
  await expect(run).rejects.toMatchObject({
    code: 'REDCACHE_BATCH',
    progress: { done: 9, loaded: 5, failed: 4, lastKey: keys[8] },
  });
  const thrown = (await run.catch((reason: unknown) => reason)) as WarmError;
  expect(new Set(thrown.failed)).toEqual(new Set([...keys.slice(3, 6), keys[8]]));
  expect(thrown.errorFor(keys[3] as string)).toBe(error);
  expect(thrown.errorFor(keys[8] as string)).toMatchObject({ code: 'REDCACHE_CODEC' });
  // The leases of those that failed are given back.
  await eventually(async () => (await client.exists(keys)) === 5);
});

test('an abort ends its loads, gives leases and source back; another run goes on', async () => {
  const { cache, client } = await openCache(url);
  const keys = newKeys(50);
  const { load, asked } = source();
  const abort = new AbortController();
  const told: AbortSignal[] = [];
  let returned = 0;
  async function* given(): AsyncGenerator<string> {
    try {
      yield* keys;
    } finally {
      returned += 1;
    }
  }
  const run = cache.warm(
    given(),
    (wanted, { signal }) => {
      if (wanted[0] !== keys[0] && wanted[0] !== keys[10])
        return new Promise<never>(() => void told.push(signal));
      return load(wanted);
    },
    { batchSize: 10, concurrency: 2, signal: abort.signal },
  );
  await eventually(() => told.length === 2);
  const reason = new Error('deploying');
  abort.abort(reason);
  await expect(run).rejects.toBe(reason);
  expect(told.map(({ aborted }) => aborted)).toEqual([true, true]);
  await eventually(() => returned === 1);
  await eventually(async () => (await client.exists(keys)) === 20);
  expect(await cache.warm(keys, load)).toMatchObject({ done: 50, loaded: 30, skipped: 20 });
  expect(asked).toHaveLength(50);
});

test('close() ends it, though its source and its loader never answer', async () => {
  const { cache } = await openCache(url);
  async function* endless(): AsyncGenerator<string> {
    yield newKey();
    await new Promise(() => {});
  }
  const errors = published('redcache:callback-error');
  let signal: AbortSignal | undefined;
  const loading = cache.warm(newKeys(3), (_, context) => {
    signal = context.signal;
    return new Promise<never>(() => {});
  });
  const reading = cache.warm(endless(), () => new Map());
  const outcomes = Promise.allSettled([loading, reading]);
  await eventually(() => signal !== undefined);
  await cache.close();
  const closed = { status: 'rejected', reason: { code: 'REDCACHE_CLOSED' } };
  expect(await outcomes).toMatchObject([closed, closed]);
  expect(signal?.aborted).toBe(true);
  expect(errors).toEqual([]);
  await expect(cache.warm([], () => new Map())).rejects.toMatchObject({ code: 'REDCACHE_CLOSED' });
});

test.each([
  ['keys', 'user:42', () => new Map(), {}],
  ['a loader', ['k'], undefined, {}],
  ['batchSize', ['k'], () => new Map(), { batchSize: 0 }],
  ['concurrency', ['k'], () => new Map(), { concurrency: 1.5 }],
  ['onError', ['k'], () => new Map(), { onError: 'ignore' }],
  ['onUnavailable', ['k'], () => new Map(), { onUnavailable: 'load' }],
  ['onProgress', ['k'], () => new Map(), { onProgress: true }],
  ['options', ['k'], () => new Map(), 7],
] as const)('bad %s: an error, and nothing is loaded', async (_, keys, load, options) => {
  const { cache } = await openCache(url);
  await expect(cache.warm(keys as never, load as never, options as never)).rejects.toMatchObject({
    code: 'REDCACHE_CONFIG',
  });
  expect(cache.stats().loads).toBe(0);
});

let server: Awaited<ReturnType<typeof startStandalone>>;
beforeAll(async () => {
  server = await startStandalone();
});
afterAll(() => server.stop());

test('without Redis nothing is loaded, and every key has failed', async () => {
  const { cache } = await openCache(server.url);
  const { load, asked } = source();
  await cache.warm(['before'], load);
  await server.stop();
  const keys = newKeys(200);
  const run = cache.warm(keys, load, { batchSize: 20 });
  const thrown = (await run.catch((reason: unknown) => reason)) as WarmError;
  expect(thrown.progress).toMatchObject({ done: 200, loaded: 0, failed: 200 });
  expect(thrown.errorFor(keys[0] as string)).toMatchObject({ code: 'REDCACHE_UNAVAILABLE' });
  expect(asked).toEqual(['before']);
});

test('a family is warmed by its ids, and another process has them all', async () => {
  const options = { namespace: newKey() };
  const [one, other] = [await openCache(url, options), await openCache(url, options)];
  const asked: number[] = [];
  const kind = {
    name: 'row',
    loadMany: async (ids: number[]): Promise<Map<number, string>> => {
      asked.push(...ids);
      return new Map(ids.map((id) => [id, `row ${id}`]));
    },
  };
  const [here, there] = [one.cache.define(kind), other.cache.define({ ...kind })];
  const ids = Array.from({ length: 500 }, (_, i) => i);
  const heard: (number | undefined)[] = [];
  const progress = await here.warm(ids, {
    batchSize: 50,
    progressEvery: 1,
    onProgress: ({ lastId }) => heard.push(lastId),
  });
  expect(progress).toMatchObject({ done: 500, loaded: 500, lastId: 499, lastKey: 'row:499' });
  expect(heard.at(-1)).toBe(499);
  expect(await there.getMany(ids)).toEqual(new Map(ids.map((id) => [id, `row ${id}`])));
  expect(asked).toHaveLength(500);
  expect(here.stats()).toMatchObject({ loads: 500 });
});
