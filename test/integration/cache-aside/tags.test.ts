// Values that are made stale together: all of a tag, all of a namespace.
import { expect, inject, test } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { type LocalCache, loader, newKey, openCache } from './local-cache.ts';

const { standalone: url } = inject('redis');

let namespaces = 0;
/** Two caches of one namespace that nobody else uses; with `grace`, which must save nothing here. */
async function two(
  server = url,
  grace: false | '1h' = '1h',
): Promise<readonly [LocalCache, LocalCache, string]> {
  namespaces += 1;
  const namespace = `tags-${process.pid}-${namespaces}`;
  const options = { namespace, ttl: '1h', grace, timeout: { redis: '10s' } } as const;
  return [await openCache(server, options), await openCache(server, options), `${namespace}:`];
}

/** Reads until the value is kept in this process. */
async function keepHere({ cache }: LocalCache, ...keys: string[]): Promise<void> {
  for (const key of keys)
    await eventually(async () => {
      await cache.get(key);
      return cache.peek(key).hit;
    });
}

test('what carries the tag is stale everywhere, and what does not is a local hit as before', async () => {
  const [one, other] = await two();
  const [a, b, c, none] = [newKey(), newKey(), newKey(), newKey()];
  await one.cache.get(a, () => 'a', { tags: ['x', 'y'] });
  await one.cache.set(b, 'b', { tags: ['x'] });
  await one.cache.setMany([[c, 'c']], { tags: ['y', 'y'] });
  await one.cache.get(none, () => 'none');
  for (const each of [one, other]) await keepHere(each, a, b, c, none);
  await one.cache.invalidateTag('x');
  // Here at once; elsewhere when the push has come, of the tag alone.
  expect([a, b, c, none].map((key) => one.cache.peek(key).hit)).toEqual([false, false, true, true]);
  await eventually(() => !other.cache.peek(a).hit);
  expect([a, b, c, none].map((key) => other.cache.peek(key).hit)).toEqual([
    false,
    false,
    true,
    true,
  ]);
  expect(await other.cache.get(a)).toBeUndefined();
  expect(await other.cache.get(b, () => 'b2', { tags: ['x'] })).toBe('b2');
  expect(await one.cache.get(b, () => 'not asked')).toBe('b2');
  expect(await one.cache.getMany([a, b, c, none])).toEqual(
    new Map([
      [b, 'b2'],
      [c, 'c'],
      [none, 'none'],
    ]),
  );
});

test('tags by function are those of the value, and an absence has none', async () => {
  const [one, other] = await two();
  const [known, absent] = [newKey(), newKey()];
  const tags = (value: { owner: string }): string[] => [`owner ${value.owner}, ü{}`];
  await one.cache.get(known, () => ({ owner: 'Ada' }), { tags });
  expect(await one.cache.get(absent, () => undefined, { tags: ['x'] })).toBeUndefined();
  await one.cache.invalidateTag('x');
  expect(await other.cache.get(absent, () => 'not asked')).toBeUndefined();
  await other.cache.invalidateTag('owner Eve, ü{}');
  expect(await one.cache.get(known, () => 'not asked')).toEqual({ owner: 'Ada' });
  await other.cache.invalidateTag('owner Ada, ü{}');
  await eventually(() => !one.cache.peek(known).hit);
  expect(await one.cache.get<unknown>(known, () => 'loaded')).toBe('loaded');
  await expect(
    one.cache.get(newKey(), () => 'v', { tags: () => 'no list' as never }),
  ).rejects.toMatchObject({ code: 'REDCACHE_CONFIG' });
});

test.each([
  ['invalidateTag', ({ cache }: LocalCache) => cache.invalidateTag('x')],
  ['clear', ({ cache }: LocalCache) => cache.clear()],
])('%s during a load makes what is loaded stale, cold or aged', async (_, change) => {
  const [one, other] = await two();
  const [cold, aged] = [newKey(), newKey()];
  await one.cache.get(aged, () => 'old', { tags: ['x'] });
  await one.cache.expire(aged);
  const { load, runs } = loader();
  const loading = one.cache.get(cold, load, { tags: ['x'] });
  expect(await one.cache.get(aged, load, { tags: ['x'] })).toBe('old');
  await eventually(() => runs.length === 2);
  await change(other);
  for (const { answer } of runs) answer('outdated');
  expect(await loading).toBe('outdated');
  await eventually(async () => String(await one.client.keys('*')).length > 0);
  for (const each of [other, one])
    for (const key of [cold, aged])
      await eventually(async () => {
        const value = await each.cache.get(key, () => 'fresh', { tags: ['x'] });
        expect(value).toBe('fresh');
        return each.cache.peek(key).hit;
      });
});

test('a tag that Redis lost makes what carries it stale, and is begun again with the next value', async () => {
  const [one, other, prefix] = await two();
  const [a, b] = [newKey(), newKey()];
  await one.cache.get(a, () => 'a', { tags: ['x'] });
  await one.cache.get(b, () => 'b', { tags: ['x'] });
  await keepHere(other, a, b);
  expect(await one.client.del(`${prefix}redcache:tag:x`)).toBe(1);
  await eventually(() => !other.cache.peek(a).hit);
  expect(await other.cache.get(a)).toBeUndefined();
  expect(await other.cache.get(a, () => 'a2', { tags: ['x'] })).toBe('a2');
  await keepHere(one, a);
  expect(await one.cache.get(a)).toBe('a2');
});

test('a tag is remembered for longer than any value that carries it', async () => {
  const [one, , prefix] = await two();
  const tag = `${prefix}redcache:tag:x`;
  await one.cache.set(newKey(), 'short', { ttl: '1m', tags: ['x'] });
  const long = newKey();
  await one.cache.set(long, 'long', { ttl: '100d', tags: ['x'] });
  expect(await one.client.pTTL(tag)).toBeGreaterThan(await one.client.pTTL(`${prefix}${long}`));
  await one.cache.invalidateTag('x');
  expect(await one.cache.get(long)).toBeUndefined();
});

test.each(['1h', false] as const)(
  'clear makes all of its namespace stale, in every process, and nothing of others; grace %s',
  async (grace) => {
    const [one, other] = await two(url, grace);
    const [stranger] = await two();
    const [a, b] = [newKey(), newKey()];
    for (const { cache } of [one, stranger]) {
      await cache.set(a, 'a');
      await cache.get(b, () => undefined);
    }
    for (const each of [one, other, stranger]) await keepHere(each, a, b);
    await one.cache.clear();
    expect([a, b].map((key) => one.cache.peek(key).hit)).toEqual([false, false]);
    await eventually(() => !other.cache.peek(a).hit && !other.cache.peek(b).hit);
    for (const { cache } of [one, other]) expect(await cache.get(a)).toBeUndefined();
    expect(await other.cache.get(b, () => 'b')).toBe('b');
    expect(await one.cache.get(b, () => 'not asked')).toBe('b');
    expect(await one.cache.get(a, () => 'a2')).toBe('a2');
    await keepHere(one, a, b);
    expect(stranger.cache.peek(a)).toEqual({ hit: true, value: 'a' });
  },
);

test('an invalidation costs as many commands for a hundred values as for one', async () => {
  await using server = await startStandalone();
  const [one] = await two(server.url);
  await one.cache.setMany(
    Array.from({ length: 100 }, (_, i) => [`k${i}`, i]),
    { tags: ['x'] },
  );
  await one.cache.invalidateTag('warm-up');
  await one.client.configResetStat();
  await one.cache.invalidateTag('x');
  const info = await one.client.info('commandstats');
  expect(/cmdstat_evalsha:calls=(\d+)/.exec(info)?.[1]).toBe('2');
  expect(await one.cache.getMany(Array.from({ length: 100 }, (_, i) => `k${i}`))).toEqual(
    new Map(),
  );
});

test('a value that another program wrote belongs to no group', async () => {
  const one = await openCache(url, { foreign: 'raw', namespace: `raw-${process.pid}` });
  await one.client.set(`raw-${process.pid}:k`, '1');
  expect(await one.cache.get('k')).toBe(1);
  await one.cache.clear();
  expect(await one.cache.get('k')).toBe(1);
});

test.each(['', 'a\ud800', 7])('%o is no tag', async (bad) => {
  const [{ cache }] = await two();
  const config = { code: 'REDCACHE_CONFIG' };
  await expect(cache.invalidateTag(bad as string)).rejects.toMatchObject(config);
  await expect(cache.set('k', 1, { tags: [bad as string] })).rejects.toMatchObject(config);
  await expect(cache.get('k', () => 1, { tags: [bad as string] })).rejects.toMatchObject(config);
});

test('an epoch that somebody wrote over is begun anew, and values are kept again', async () => {
  const [one, other, prefix] = await two();
  await one.client.set(`${prefix}redcache:epoch`, 'no number');
  const key = newKey();
  await one.cache.get(key, () => 'v', { tags: ['x'] });
  await keepHere(other, key);
  await one.cache.invalidateTag('x');
  expect(await one.cache.get(key)).toBeUndefined();
});
