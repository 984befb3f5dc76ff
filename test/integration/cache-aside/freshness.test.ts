// What has aged and was not invalidated: who serves it, and who loads it anew (I4, I8).
import { once } from 'node:events';
import { expect, inject, onTestFinished, test } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { TcpProxy } from '../../support/proxy.ts';
import { type LocalCache, loader, newKey, openCache, published } from './local-cache.ts';

const { standalone: url } = inject('redis');
/** Nothing here waits for Redis any longer than it takes. */
const timeout = { redis: '10s' } as const;

/** Lets what stands under a key be as if it had been written so long ago. */
async function age({ client }: LocalCache, key: string, byMs: number): Promise<void> {
  const left = Number(await client.pTTL(key));
  await client.sendCommand(['PEXPIRE', key, String(left - byMs)]);
}

test('within grace two caches serve the old value at once, and one of them loads it anew once', async () => {
  const options = { ttl: '1h', grace: '1h', timeout } as const;
  const [one, two] = [await openCache(url, options), await openCache(url, options)];
  const key = newKey();
  await one.cache.get(key, () => 'old');
  expect(await two.cache.get(key)).toBe('old');
  await one.cache.expire(key);
  const { load, runs } = loader();
  const served = await Promise.all(
    Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? one : two).cache.get(key, load)),
  );
  expect(new Set(served)).toEqual(new Set(['old']));
  await eventually(() => runs.length === 1);
  // Also those who ask while it runs, from their own copy.
  expect(await one.cache.get(key, load)).toBe('old');
  expect(await two.cache.get(key, load)).toBe('old');
  expect(one.cache.stats().staleHits + two.cache.stats().staleHits).toBeGreaterThanOrEqual(2);
  runs[0]?.answer('new');
  for (const { cache } of [one, two])
    await eventually(async () => (await cache.get(key, load)) === 'new');
  expect(runs).toHaveLength(1);
  expect(one.cache.stats().loads + two.cache.stats().loads).toBe(2);
  expect((await one.cache.getEntry(key)).remainingMs).toBeGreaterThan(3_000_000);
});

test('many reads of what has aged ask for one refresh, not for one each', async () => {
  const one = await openCache(url, { ttl: '1h', grace: '1h', timeout });
  const key = newKey();
  await one.cache.get(key, () => 'old');
  await one.cache.expire(key);
  const { load, runs } = loader();
  for (let i = 0; i < 50; i++) expect(await one.cache.get(key, load)).toBe('old');
  await eventually(() => runs.length === 1);
  expect(one.cache.stats().refreshes.grace).toBe(1);
  runs[0]?.answer('new');
});

test('a refresh that another cache is about leaves nothing behind in this one', async () => {
  const options = { ttl: '1h', grace: '1h', timeout } as const;
  const [one, two] = [await openCache(url, options), await openCache(url, options)];
  const key = newKey();
  await one.cache.get(key, () => 'old');
  await one.cache.expire(key);
  const { load, runs } = loader();
  expect(await one.cache.get(key, load)).toBe('old');
  await eventually(() => runs.length === 1);
  const before = two.engine.internals.hub.listenedKeys;
  for (let i = 0; i < 10; i++) expect(await two.cache.get(key, load)).toBe('old');
  await eventually(() => two.engine.internals.hub.listenedKeys === before);
  expect(runs).toHaveLength(1);
  runs[0]?.answer('new');
});

test('what has aged beyond grace is not served', async () => {
  const one = await openCache(url, { ttl: '1h', grace: '1h', staleIfError: '2h', timeout });
  const key = newKey();
  await one.cache.get(key, () => 'old');
  await age(one, key, 7_200_000);
  expect(await one.cache.get(key, () => 'new')).toBe('new');
});

test('what was deleted is not served, however long grace is (I1)', async () => {
  const one = await openCache(url, { ttl: '1h', grace: '1h', staleIfError: '1h', timeout });
  const key = newKey();
  await one.cache.get(key, () => 'old');
  await one.cache.expire(key);
  expect(await one.cache.get(key)).toBe('old');
  await one.cache.delete(key);
  expect(await one.cache.get(key)).toBeUndefined();
  const error = new Error('no database');
  await expect(one.cache.get(key, () => Promise.reject(error))).rejects.toBe(error);
});

test('if the loader fails, what has aged is served within staleIfError, and the failure is told', async () => {
  const one = await openCache(url, { ttl: '1h', staleIfError: '1h', timeout });
  const told = published<{ key: string; error: unknown }>('redcache:cache:stale-if-error');
  const [key, error] = [newKey(), new Error('no database')];
  await one.cache.get(key, () => 'old');
  await one.cache.expire(key);
  const failing = (): Promise<never> => Promise.reject(error);
  expect(await one.cache.get(key, failing)).toBe('old');
  expect(await one.cache.getMany([key], failing)).toEqual(new Map([[key, 'old']]));
  expect(told.filter((each) => each.key === key && each.error === error)).toHaveLength(2);
  expect(one.cache.stats()).toMatchObject({ staleHits: 2, loadFailures: 2 });
  // Without a loader, and with one that answers, it is over.
  expect(await one.cache.get(key)).toBeUndefined();
  expect(await one.cache.get(key, () => 'new')).toBe('new');
  await age(one, key, 7_200_001);
  await expect(one.cache.get(key, failing)).rejects.toBe(error);
});

test('with errorTtl a loader that failed is not asked again, and what has aged is served on', async () => {
  const one = await openCache(url, { ttl: '1h', errorTtl: '1h', timeout });
  const [cold, aged, error] = [newKey(), newKey(), new Error('no database')];
  let runs = 0;
  const failing = (): Promise<never> => {
    runs += 1;
    return Promise.reject(error);
  };
  await expect(one.cache.get(cold, failing)).rejects.toBe(error);
  await expect(one.cache.get(cold, failing)).rejects.toBe(error);
  await expect(one.cache.getMany([cold], failing)).rejects.toBe(error);
  expect(runs).toBe(1);
  // Whoever insists asks it; whoever writes knows better.
  await expect(one.cache.get(cold, failing, { refresh: true })).rejects.toBe(error);
  expect(runs).toBe(2);
  await one.cache.delete(cold);
  expect(await one.cache.get(cold, () => 'v')).toBe('v');

  const options = { staleIfError: '1h' } as const;
  await one.cache.get(aged, () => 'old', options);
  await one.cache.expire(aged);
  runs = 0;
  for (let i = 0; i < 3; i++) expect(await one.cache.get(aged, failing, options)).toBe('old');
  expect(runs).toBe(1);
});

test('a refresh that failed is told, counted as nobody’s hit, and with errorTtl not begun again', async () => {
  const one = await openCache(url, { ttl: '1h', grace: '1h', errorTtl: '1h', timeout });
  const told = published<{ key: string; error: unknown }>('redcache:cache:refresh-failed');
  const [key, error] = [newKey(), new Error('no database')];
  await one.cache.get(key, () => 'old');
  await one.cache.expire(key);
  let runs = 0;
  const failing = (): Promise<never> => {
    runs += 1;
    return Promise.reject(error);
  };
  expect(await one.cache.get(key, failing)).toBe('old');
  await eventually(() => told.some((each) => each.key === key));
  for (let i = 0; i < 5; i++) expect(await one.cache.get(key, failing)).toBe('old');
  expect(runs).toBe(1);
  expect(one.cache.stats()).toMatchObject({
    staleHits: 6,
    loadFailures: 1,
    refreshes: { grace: 1 },
  });
});

test('a hot value is loaded anew before it ages, by one of all caches, and served meanwhile', async () => {
  const options = { ttl: '1h', hotKeys: { threshold: 3, window: '1h' }, timeout } as const;
  const [one, two] = [await openCache(url, options), await openCache(url, options)];
  const [hot, cool] = [newKey(), newKey()];
  for (const key of [hot, cool]) {
    await one.cache.get(key, () => 'old');
    // The last tenth of its life.
    await age(one, key, 3_300_000);
  }
  const { load, runs } = loader();
  for (const { cache } of [one, two])
    for (let i = 0; i < 5; i++) expect(await cache.get(hot, load)).toBe('old');
  expect(await one.cache.get(cool, load)).toBe('old');
  await eventually(() => runs.length === 1);
  expect(runs[0]?.key).toBe(hot);
  runs[0]?.answer('new');
  for (const { cache } of [one, two])
    await eventually(async () => (await cache.get(hot, load)) === 'new');
  expect(runs).toHaveLength(1);
  expect(one.cache.stats().refreshes.hot + two.cache.stats().refreshes.hot).toBeGreaterThan(0);
});

test('earlyRefresh loads anew what is near its end, and not what is not', async () => {
  // Eager enough that chance has nothing to say: any load is long in comparison.
  const earlyRefresh = { after: 0.5, beta: Number.MAX_SAFE_INTEGER } as const;
  const one = await openCache(url, { ttl: '1h', earlyRefresh, timeout });
  const key = newKey();
  await one.cache.get(key, async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return 'old';
  });
  const { load, runs } = loader();
  for (let i = 0; i < 20; i++) expect(await one.cache.get(key, load)).toBe('old');
  expect(one.cache.stats().refreshes.early).toBe(0);
  await age(one, key, 2_000_000);
  for (let i = 0; i < 20; i++) expect(await one.cache.get(key, load)).toBe('old');
  await eventually(() => runs.length === 1);
  runs[0]?.answer('new');
  await eventually(async () => (await one.cache.get(key, load)) === 'new');
  expect(runs).toHaveLength(1);
  expect(one.cache.stats().refreshes.early).toBe(1);
});

test('with timeout.soft the new value is waited for, the old one served if it takes long, and the new one stored', async () => {
  const options = { ttl: '1h', grace: '1h' } as const;
  const one = await openCache(url, { ...options, timeout: { ...timeout, soft: '50ms' } });
  const two = await openCache(url, { ...options, timeout: { ...timeout, soft: '1h' } });
  const key = newKey();
  await one.cache.get(key, () => 'old');
  await one.cache.expire(key);
  const { load, runs } = loader();
  // The one that waits for long waits for the load of the other as well.
  const early = one.cache.get(key, load);
  await eventually(() => runs.length === 1);
  const late = two.cache.get(key, load);
  await eventually(() => two.cache.stats().waits === 1);
  expect(await early).toBe('old');
  expect(one.cache.stats().staleHits).toBe(1);
  runs[0]?.answer('new');
  expect(await late).toBe('new');
  await eventually(async () => (await one.cache.get(key, load)) === 'new');
  expect(runs).toHaveLength(1);
  // One that is quick enough is served.
  await two.cache.expire(key);
  expect(await two.cache.get(key, () => 'newer')).toBe('newer');
});

test('refresh: true loads anew what is fresh, for all caches; the value stands meanwhile', async () => {
  const [one, two] = [await openCache(url, { timeout }), await openCache(url, { timeout })];
  const key = newKey();
  await one.cache.get(key, () => 'old');
  expect(await two.cache.get(key)).toBe('old');
  const { load, runs } = loader();
  const renewed = one.cache.get(key, load, { refresh: true });
  await eventually(() => runs.length === 1);
  expect(await two.cache.get(key, load)).toBe('old');
  runs[0]?.answer('new');
  expect(await renewed).toBe('new');
  expect(one.cache.peek(key)).toEqual({ hit: true, value: 'new' });
  await eventually(async () => (await two.cache.get(key, load)) === 'new');
  const cold = newKey();
  expect(await one.cache.get(cold, () => 'v', { refresh: true })).toBe('v');
  expect(await two.cache.get(cold, () => 'not asked')).toBe('v');
});

test('touch and expire say whether there was a value, for every cache and its copies', async () => {
  const options = { ttl: '1h', grace: '1h', timeout } as const;
  const [one, two] = [await openCache(url, options), await openCache(url, options)];
  const [key, absent, none] = [newKey(), newKey(), newKey()];
  await one.cache.get(key, () => 'v');
  await one.cache.set(absent, undefined);
  await two.cache.getMany([key, absent]);
  expect(await one.cache.touch(key, '5h')).toBe(true);
  expect(await one.cache.touch(none, '5h')).toBe(false);
  expect(await one.cache.expire(none)).toBe(false);
  expect(await one.cache.touchMany([key, absent, none], '5h')).toEqual(new Set([key, absent]));
  for (const { cache } of [one, two])
    await eventually(async () => (await cache.getEntry(key)).remainingMs > 14_400_000);
  expect(Number(await one.client.pTTL(key))).toBeGreaterThan(18_000_000);
  expect(await one.cache.expire(key)).toBe(true);
  await eventually(async () => (await two.cache.getEntry(key)).remainingMs === 0);
  expect((await one.cache.getEntry(key)).value).toBe('v');
  // A known absence has nothing that might be served stale.
  expect(await one.cache.expire(absent)).toBe(true);
  expect(await one.client.exists(absent)).toBe(0);
  // A load under way is no value.
  await one.client.sendCommand(['SET', none, 'rc1 l theirs\n', 'PX', '60000']);
  expect(await one.cache.touch(none, '5h')).toBe(false);
  expect(await one.cache.expire(none)).toBe(false);
});

test.each([
  ['delete', (key: string, { cache }: LocalCache) => cache.delete(key), undefined],
  ['set', (key: string, { cache }: LocalCache) => cache.set(key, 'set'), 'set'],
])(
  'a %s elsewhere during a refresh makes its fill fail (I8), and nobody joins it (I1)',
  async (_, change, expected) => {
    const options = { ttl: '1h', grace: '1h', timeout } as const;
    const [one, two] = [await openCache(url, options), await openCache(url, options)];
    const key = newKey();
    await one.cache.get(key, () => 'old');
    await one.cache.expire(key);
    const { load, runs } = loader();
    expect(await one.cache.get(key, load)).toBe('old');
    await eventually(() => runs.length === 1);
    await change(key, two);
    await eventually(() => !one.cache.peek(key).hit);
    const after = one.cache.get(key, () => 'fresh');
    const was = expected ?? 'fresh';
    expect(await after).toBe(was);
    runs[0]?.answer('outdated');
    await eventually(() => one.cache.stats().lostLeases === 1);
    expect(await one.cache.get(key, () => 'not asked')).toBe(was);
    expect(await two.cache.get(key, () => 'not asked')).toBe(was);
  },
);

test('a refresh that is told that its value has gone, and stops, is not begun again for nobody', async () => {
  const one = await openCache(url, { ttl: '1h', grace: '1h', lease: '300ms', timeout });
  const key = newKey();
  await one.cache.get(key, () => 'old');
  await one.cache.expire(key);
  let runs = 0;
  let hasStopped = false;
  const load = async (_: string, { signal }: { signal: AbortSignal }): Promise<never> => {
    runs += 1;
    if (!signal.aborted) await once(signal, 'abort');
    hasStopped = true;
    throw signal.reason;
  };
  expect(await one.cache.get(key, load)).toBe('old');
  await eventually(() => runs === 1);
  await one.cache.delete(key);
  await eventually(() => hasStopped);
  // What is sent after it is answered after it.
  await one.client.ping();
  await one.cache.set(key, 'v');
  expect(runs).toBe(1);
});

test('while Redis is away a failing loader leaves what was known here, within staleIfError', async () => {
  const server = await startStandalone();
  onTestFinished(() => server.stop());
  const options = { ttl: '1h', staleIfError: '1h', timeout: { redis: '100ms' } } as const;
  const one = await openCache(server.url, options);
  const other = await openCache(server.url, options);
  const [kept, changed, tagged, stale] = [newKey(), newKey(), newKey(), newKey()];
  const error = new Error('no database');
  const failing = (): Promise<never> => Promise.reject(error);
  for (const key of [kept, changed]) await one.cache.get(key, () => 'v');
  for (const [key, tag] of [
    [tagged, 'standing'],
    [stale, 'invalidated'],
  ] as const) {
    await one.cache.get(key, () => 'v', { tags: [tag] });
    await eventually(async () => {
      await one.cache.get(key);
      return one.cache.peek(key).hit;
    });
  }
  await other.cache.delete(changed);
  await eventually(() => !one.cache.peek(changed).hit);
  await other.cache.invalidateTag('invalidated');
  await eventually(() => !one.cache.peek(stale).hit);
  await server.node.kill();
  await eventually(() => !one.cache.peek(kept).hit);
  expect(await one.cache.get(kept, failing)).toBe('v');
  expect(await one.cache.get(tagged, failing)).toBe('v');
  // Not what was invalidated while Redis could still say so (I1), nor what is to be had.
  await expect(one.cache.get(changed, failing)).rejects.toBe(error);
  await expect(one.cache.get(stale, failing)).rejects.toBe(error);
  expect(await one.cache.get(kept, () => 'loaded')).toBe('loaded');
});

test('a set while Redis is away is made good: what stood there before is deleted (I13)', async () => {
  const server = await startStandalone();
  onTestFinished(() => server.stop());
  const proxy = await TcpProxy.start(server.node);
  onTestFinished(() => proxy.close());
  const one = await openCache(proxy.url, { timeout: { redis: '100ms' } });
  await one.cache.set('k', 'old');
  proxy.cut({ refuse: true });
  await eventually(() => !one.client.isReady);
  await expect(one.cache.set('k', 'new')).rejects.toMatchObject({
    code: 'REDCACHE_OUTCOME_UNKNOWN',
    key: 'k',
  });
  expect(one.cache.stats().uncertainKeys).toBe(1);
  expect(await one.cache.get('k', () => 'loaded')).toBe('loaded');
  proxy.heal();
  await eventually(() => one.cache.stats().uncertainKeys === 0);
  expect(await one.cache.get('k', () => 'loaded again')).toBe('loaded again');
});

test('a server that hangs is not asked by every call, and is used again when it is back', async () => {
  const server = await startStandalone();
  onTestFinished(() => server.stop());
  const one = await openCache(server.url, { timeout: { redis: '100ms' } });
  await one.cache.get('warm-up', () => 1);
  const told = published<{ error: Error }>('redcache:cache:unavailable');
  await server.node.pause();
  try {
    for (let i = 0; i < 12; i++) expect(await one.cache.get(newKey(), () => i)).toBe(i);
    expect(told.filter(({ error }) => error.message.includes('not asked')).length).toBeGreaterThan(
      0,
    );
  } finally {
    await server.node.resume();
  }
  await eventually(async () => {
    await one.cache.get('after', () => 'v');
    return one.cache.peek('after').hit;
  });
});
