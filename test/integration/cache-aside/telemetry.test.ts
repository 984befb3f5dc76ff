// What metrics and traces say of a cache that is used, over a real Redis.
import { context, SpanStatusCode, trace } from '@opentelemetry/api';
import { observe } from '@redcache/cache-aside/otel';
import { expect, inject, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { type Point, startTelemetry } from '../../support/telemetry.ts';
import { loader, newKey, openCache, published } from './local-cache.ts';

const { standalone: url } = inject('redis');
const NAME = 'redcache.cache.name';

/** The values of a metric by one of its attributes; `''` for one that has none. */
function by(points: readonly Point[] | undefined, attribute: string): Record<string, unknown> {
  const values = (points ?? []).map(({ attributes, value }) => [
    String(attributes[attribute] ?? ''),
    value,
  ]);
  return Object.fromEntries(values);
}

test('the metrics of a cache are what its statistics say, in the units of the conventions', async () => {
  const telemetry = startTelemetry();
  const [{ cache }, { cache: other }] = [await openCache(url), await openCache(url)];
  using _ = observe(cache, { ...telemetry.providers, name: 'users' });
  const [key, gone] = [newKey(), newKey()];
  const lostLeases = published<{ key: string }>('redcache:cache:lost-lease');

  await cache.get(key, () => 'v');
  await cache.get(key);
  await cache.get(key, undefined, {});
  await cache.get(gone, () => undefined);
  await cache.get(gone);
  await expect(cache.get(newKey(), () => Promise.reject(new RangeError('no')))).rejects.toThrow();
  await cache.get(newKey());
  const theirs = newKey();
  await other.set(theirs, 'theirs');
  await cache.get(theirs, () => 'v');
  const deleted = newKey();
  await cache.get(deleted, async () => {
    await other.delete(deleted);
    return 'v';
  });
  await cache.set(key, 'w');
  await cache.delete(key);

  const stats = cache.stats();
  expect(stats).toMatchObject({ localHits: 2, negativeHits: 1, redisHits: 1, misses: 5 });
  expect(stats).toMatchObject({ loads: 4, loadFailures: 1, lostLeases: 1, staleHits: 0 });
  expect(stats.loadTime.count).toBe(4);
  expect(lostLeases).toEqual([{ key: deleted }]);
  const points = await telemetry.points();
  expect(by(points.get('redcache.cache.requests'), 'redcache.cache.result')).toEqual({
    local_hit: 2,
    negative_hit: 1,
    redis_hit: 1,
    stale_hit: 0,
    coalesced: 0,
    miss: 5,
  });
  expect(by(points.get('redcache.cache.io'), 'network.io.direction')).toEqual({
    receive: stats.bytesRead,
    transmit: stats.bytesWritten,
  });
  for (const [name, value] of [
    ['loaded_keys', 4],
    ['failed_keys', 1],
    ['lost_leases', 1],
    ['dropped_refreshes', 0],
    ['written_keys', 1],
    ['deleted_keys', 1],
    ['unavailable_requests', 0],
    ['unknown_outcomes', 0],
    ['uncertain_key.count', 0],
  ] as const)
    expect([name, by(points.get(`redcache.cache.${name}`), NAME)]).toEqual([
      name,
      { users: value },
    ]);
  const loads = by(points.get('redcache.cache.load.duration'), 'error.type');
  expect(loads).toMatchObject({ '': { count: 3 }, RangeError: { count: 1 } });
  expect(Object.fromEntries(await telemetry.units())).toMatchObject({
    'redcache.cache.requests': '{request}',
    'redcache.cache.io': 'By',
    'redcache.cache.load.duration': 's',
  });
});

test('what is of a family says so, and adds up with what is not', async () => {
  const telemetry = startTelemetry();
  const options = { namespace: newKey() };
  const [{ cache }, { cache: other }] = [
    await openCache(url, options),
    await openCache(url, options),
  ];
  using _ = observe(cache, { ...telemetry.providers, name: 'all' });
  const users = cache.define({ name: 'user', load: async (id: number) => `user ${id}` });
  cache.define({ name: 'unused', load: async (id: number) => id });
  await cache.get('plain', () => 'v');
  await cache.get('plain');
  await users.getMany([1, 2]);
  await users.get(1);
  const { load, runs } = loader();
  const theirs = other.define({ name: 'user', load: (id: number) => load(String(id), ABORT) });
  const loading = theirs.get(3);
  await eventually(() => runs.length === 1);
  const waiting = users.get(3);
  await eventually(() => users.stats().waits === 1);
  runs[0]?.answer('user 3');
  expect(await Promise.all([loading, waiting])).toEqual(['user 3', 'user 3']);

  const points = await telemetry.points();
  const FAMILY = 'redcache.cache.family';
  const families = (name: string) => by(points.get(`redcache.cache.${name}`), FAMILY);
  expect(families('loaded_keys')).toEqual({ '': 1, user: 2, unused: 0 });
  expect(families('load.duration')).toMatchObject({ '': { count: 1 }, user: { count: 2 } });
  expect(families('wait.duration')).toMatchObject({ user: { count: 1 } });
  expect(families('uncertain_key.count')).toEqual({ '': 0 });
  const requests = points.get('redcache.cache.requests') ?? [];
  const of = (family: string | undefined) =>
    by(
      requests.filter(({ attributes }) => attributes[FAMILY] === family),
      'redcache.cache.result',
    );
  expect(of('user')).toMatchObject({ local_hit: 1, redis_hit: 1, miss: 2, stale_hit: 0 });
  expect(of(undefined)).toMatchObject({ local_hit: 1, redis_hit: 0, miss: 1 });
  expect(new Set(requests.map(({ attributes }) => attributes[NAME]))).toEqual(new Set(['all']));
  const spans = telemetry.spans().map(({ name, attributes }) => [name, attributes[FAMILY]]);
  expect(spans).toEqual([
    ['load all', undefined],
    ['load all', 'user'],
    ['load all', 'user'],
  ]);
});

test('bytes are those of values as Redis holds them', async () => {
  const [{ cache, client }, { cache: reader }] = [await openCache(url), await openCache(url)];
  const [small, large] = [newKey(), newKey()];
  await cache.set(small, 'é');
  await cache.get(large, () => 'x'.repeat(10_000));
  const held = (await client.strLen(small)) + (await client.strLen(large));
  expect(cache.stats()).toMatchObject({ bytesRead: 0, bytesWritten: held });
  await reader.getMany([small, large]);
  await reader.getMany([small, large]);
  expect(reader.stats()).toMatchObject({ bytesRead: held, bytesWritten: 0 });
});

test('a load is a span of the context of its first caller, and the loader runs inside it', async () => {
  const telemetry = startTelemetry();
  const { cache } = await openCache(url, { namespace: 'ns' });
  using _ = observe(cache, { ...telemetry.providers, name: 'users', keys: true });
  const tracer = telemetry.providers.tracerProvider.getTracer('test');
  const [key, other] = [newKey(), newKey()];
  const { load, runs } = loader();
  const request = (name: string) =>
    tracer.startActiveSpan(name, async (span) => {
      await cache.getMany([key, other], async (keys) => {
        tracer.startSpan('query').end();
        return Object.fromEntries(
          await Promise.all(keys.map(async (k) => [k, await load(k, ABORT)])),
        );
      });
      span.end();
      return span.spanContext();
    });
  const callers = Promise.all([request('first'), request('second')]);
  await eventually(() => runs.length === 2);
  for (const run of runs) run.answer('v');
  const [first] = await callers;

  const spans = telemetry.spans();
  const [loaded, ...others] = spans.filter(({ name }) => name === 'load users');
  expect(others).toEqual([]);
  expect(loaded?.parentSpanContext?.spanId).toBe(first.spanId);
  expect(loaded?.status.code).toBe(SpanStatusCode.UNSET);
  expect(loaded?.attributes).toEqual({
    'redcache.cache.name': 'users',
    'redcache.cache.load.cause': 'miss',
    'redcache.cache.load.key_count': 2,
    'redcache.cache.load.keys': [key, other],
  });
  const query = spans.find(({ name }) => name === 'query');
  expect(query?.parentSpanContext?.spanId).toBe(loaded?.spanContext().spanId);
  expect(cache.stats().coalesced).toBe(2);
});

const ABORT = { signal: new AbortController().signal };

test('a load that failed says so in its span', async () => {
  const telemetry = startTelemetry();
  const { cache } = await openCache(url, { timeout: { hard: '50ms' } });
  using _ = observe(cache, telemetry.providers);
  const failed = published<{ error: unknown }>('redcache:cache:load-failed');
  await expect(cache.get(newKey(), () => Promise.reject(new TypeError('no')))).rejects.toThrow(
    'no',
  );
  await expect(cache.get(newKey(), () => new Promise(() => {}))).rejects.toThrow('settle');
  const spans = telemetry.spans();
  expect(spans.map(({ attributes }) => attributes['error.type'])).toEqual([
    'TypeError',
    'REDCACHE_LOAD_TIMEOUT',
  ]);
  expect(spans[0]?.status).toEqual({ code: SpanStatusCode.ERROR, message: 'no' });
  expect(spans[0]?.events.map(({ name }) => name)).toEqual(['exception']);
  expect(failed.map(({ error }) => String(error))).toHaveLength(2);
});

test('a load behind a value that is served has the context of who asked for it', async () => {
  const telemetry = startTelemetry();
  const { cache } = await openCache(url, { grace: '1h' });
  using _ = observe(cache, telemetry.providers);
  const refreshed = published<{ key: string; cause: string }>('redcache:cache:refresh');
  const key = newKey();
  await cache.set(key, 'old');
  await cache.expire(key);
  const span = telemetry.providers.tracerProvider.getTracer('test').startSpan('request');
  await context.with(trace.setSpan(context.active(), span), async () => {
    expect(await cache.get(key, () => 'new')).toBe('old');
  });
  await eventually(() => telemetry.spans().length === 1);
  const [load] = telemetry.spans();
  expect(load?.attributes['redcache.cache.load.cause']).toBe('grace');
  expect(load?.parentSpanContext?.spanId).toBe(span.spanContext().spanId);
  expect(refreshed).toEqual([{ key, cause: 'grace' }]);
  const points = await telemetry.points();
  expect(by(points.get('redcache.cache.refreshes'), 'redcache.cache.refresh.cause')).toEqual({
    grace: 1,
    early: 0,
    hot: 0,
  });
});

test('a load behind a value that is served, and fails, serves nobody a stale value', async () => {
  const { cache } = await openCache(url, { grace: '1h' });
  const failed = published<{ key: string }>('redcache:cache:refresh-failed');
  const served = published('redcache:cache:stale-if-error');
  const key = newKey();
  await cache.set(key, 'old');
  await cache.expire(key);
  expect(await cache.get(key, () => Promise.reject(new Error('no')))).toBe('old');
  await eventually(() => failed.length > 0);
  expect(failed).toEqual([{ key, error: expect.objectContaining({ message: 'no' }) }]);
  expect(served).toEqual([]);
  expect(cache.stats()).toMatchObject({ staleHits: 1, loadFailures: 1 });
});

test('waits are measured, by what ended them', async () => {
  const telemetry = startTelemetry();
  const [{ cache }, { cache: other }] = [await openCache(url), await openCache(url)];
  using _ = observe(cache, telemetry.providers);
  const waiting = published<{ key: string }>('redcache:cache:waiting');
  const woken = published<{ waitedMs: number }>('redcache:cache:woken');
  const key = newKey();
  const { load, runs } = loader();
  const first = other.get(key, load);
  await eventually(() => runs.length === 1);
  const second = cache.get(key, load);
  await eventually(() => cache.stats().waits === 1);
  expect(waiting).toEqual([{ key }]);
  runs[0]?.answer('v');
  expect(await Promise.all([first, second])).toEqual(['v', 'v']);
  expect(cache.stats().waitTime.count).toBe(1);
  expect(cache.stats().waitTime.max).toBeGreaterThan(0);
  expect(woken[0]?.waitedMs).toBeGreaterThan(0);
  const waits = (await telemetry.points()).get('redcache.cache.wait.duration');
  expect(by(waits, 'redcache.cache.wait.end')).toMatchObject({ push: { count: 1 } });
});

test('once it is taken back, nothing more is reported of the cache', async () => {
  const telemetry = startTelemetry();
  const { cache } = await openCache(url);
  const stop = observe(cache, { ...telemetry.providers, name: 'one' });
  using _ = observe(cache, { ...telemetry.providers, name: 'two' });
  const load = async () => {
    await cache.get(newKey(), () => 'v');
    const points = await telemetry.points();
    return {
      keys: by(points.get('redcache.cache.loaded_keys'), NAME),
      times: by(points.get('redcache.cache.load.duration'), NAME),
      spans: telemetry.spans().map(({ name }) => name),
    };
  };
  const once = { count: 1 };
  expect(await load()).toMatchObject({
    keys: { one: 1, two: 1 },
    times: { one: once, two: once },
    spans: ['load one', 'load two'],
  });
  stop();
  stop();
  expect(await load()).toMatchObject({
    keys: { one: 1, two: 2 },
    times: { one: once, two: { count: 2 } },
    spans: ['load one', 'load two', 'load two'],
  });
});

test('what was counted last is collected also after the cache was closed', async () => {
  const telemetry = startTelemetry();
  const { cache } = await openCache(url);
  using _ = observe(cache, telemetry.providers);
  await cache.get(newKey(), () => 'v');
  await cache.close();
  const points = await telemetry.points();
  expect(by(points.get('redcache.cache.loaded_keys'), NAME)).toEqual({ default: 1 });
});

test('exporters that throw disturb nobody', async () => {
  const telemetry = startTelemetry();
  const { cache } = await openCache(url);
  const broken = new Error('broken');
  const reported = published<{ callback: string; error: unknown }>('redcache:callback-error');
  const span = {
    ...telemetry.providers.tracerProvider.getTracer('test').startSpan('x'),
    end: () => {
      throw broken;
    },
  };
  const tracerProvider = { getTracer: () => ({ startSpan: () => span }) } as never;
  using _ = observe(cache, { ...telemetry.providers, tracerProvider });
  expect(await cache.get(newKey(), () => 'v')).toBe('v');
  await eventually(() => reported.length > 0);
  expect(reported).toEqual([{ callback: 'instrument', error: broken }]);
});

test.for([
  [{}, {}],
  [null, {}],
  ['cache', { meterProvider: {} }],
  ['cache', { tracerProvider: 1 }],
  ['cache', { name: 1 }],
  ['cache', { keys: 'all' }],
  ['cache', { nam: 'x' }],
] as const)('refuses to observe %o with %o', async ([what, options]) => {
  const { cache } = await openCache(url);
  expect(() => observe((what === 'cache' ? cache : what) as never, options as never)).toThrow(
    expect.objectContaining({ code: 'REDCACHE_CONFIG' }),
  );
});
