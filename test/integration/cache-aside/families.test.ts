import { type BatchError, type LoadContext, type Schema, SchemaError } from '@redcache/cache-aside';
import { ClosedError, ConfigError } from '@redcache/core';
import { expect, inject, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { newKey, openCache, published } from './local-cache.ts';

const { standalone: url } = inject('redis');

/** A name, and an age that may be left out. */
const User: Schema<{ name: string; age?: number }, { name: string; age: number }> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => {
      const { name, age = 18 } = value as { name: unknown; age?: number };
      if (typeof name === 'string') return { value: { name, age } };
      return { issues: [{ message: 'no text', path: ['name'] }] };
    },
  },
};

/** A namespace nobody has used. */
const fresh = () => ({ namespace: newKey() });
const named = async (id: number): Promise<{ id: number }> => ({ id });

test('values are loaded by id once for all processes, and dropped in all', async () => {
  const options = fresh();
  const [one, two] = [await openCache(url, options), await openCache(url, options)];
  const asked: unknown[] = [];
  const load = async (id: number): Promise<{ n: number } | undefined> => {
    asked.push(id);
    return id > 0 ? { n: asked.length } : undefined;
  };
  const here = one.cache.define({ name: 'user', load });
  const there = two.cache.define({ name: 'user', load });
  expect(await Promise.all([here.get(42), here.get(42)])).toEqual([{ n: 1 }, { n: 1 }]);
  expect(await there.getEntry(42)).toMatchObject({ value: { n: 1 }, source: 'redis' });
  expect(await here.getEntry(42)).toMatchObject({ value: { n: 1 }, source: 'local' });
  expect(await one.client.exists(`${options.namespace}:user:42`)).toBe(1);
  expect(await here.get(-1)).toBeUndefined();
  expect(here.peek(-1)).toEqual({ hit: true, value: undefined });
  expect(await here.get(-1)).toBeUndefined();
  expect(asked).toEqual([42, -1]);

  await there.delete(42);
  await eventually(() => !here.peek(42).hit);
  expect(await here.get(42)).toEqual({ n: 3 });
  expect(await there.get(42)).toEqual({ n: 3 });
  await one.cache.delete(here.nameOf(42));
  expect(here.peek(42)).toEqual({ hit: false });
  expect(await here.get(42, { refresh: true })).toEqual({ n: 4 });
});

test('loadMany gets the ids that nobody holds, by one call, and loads one as well', async () => {
  const { cache } = await openCache(url, fresh());
  const calls: number[][] = [];
  const users = cache.define({
    name: 'user',
    loadMany: async (ids: number[]) => {
      calls.push(ids);
      return new Map(ids.filter((id) => id < 10).map((id) => [id, `user ${id}`]));
    },
  });
  expect(await users.get(2)).toBe('user 2');
  const found = await users.getMany([3, 2, 11, 1, 3]);
  expect([...found]).toEqual([
    [3, 'user 3'],
    [2, 'user 2'],
    [1, 'user 1'],
  ]);
  expect(calls).toEqual([[2], [3, 11, 1]]);
  expect(await users.getMany([1, 2, 3, 11])).toEqual(found);
  expect(await users.getMany([])).toEqual(new Map());
  expect(calls).toHaveLength(2);
});

test('load alone loads many ids side by side, each for itself, and not too many', async () => {
  const { cache } = await openCache(url, fresh());
  let running = 0;
  let most = 0;
  const calls: number[] = [];
  const failed = new Error('no such shard');
  const users = cache.define({
    name: 'user',
    load: async (id: number, context: LoadContext) => {
      calls.push(id);
      running += 1;
      most = Math.max(most, running);
      await new Promise(setImmediate);
      running -= 1;
      if (id === 7) throw failed;
      if (id === 8) context.ttl('5s');
      return id;
    },
  });
  const ids = Array.from({ length: 100 }, (_, i) => i);
  await expect(users.getMany(ids)).rejects.toBe(failed);
  await eventually(() => ids.filter((id) => users.peek(id).hit).length === 99);
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(32);
  expect([...calls].sort((a, b) => a - b)).toEqual(ids);
  const without = ids.filter((id) => id !== 7);
  expect([...(await users.getMany(without)).keys()]).toEqual(without);
  expect(calls).toHaveLength(100);
  const ttlOf = async (id: number): Promise<number> => (await users.getEntry(id)).remainingMs;
  expect(await ttlOf(8)).toBeLessThanOrEqual(5_000);
  expect(await ttlOf(9)).toBeGreaterThan(5_000);
});

test('a schema judges what is loaded and what is read, and callers get what it makes of it', async () => {
  const options = fresh();
  const [old, { cache, client }] = [await openCache(url, options), await openCache(url, options)];
  const unreadable = published<{ key: string; reason: unknown }>('redcache:cache:unreadable');
  const before = old.cache.define({ name: 'user', load: async (_: number) => ({ title: 'Mrs' }) });
  await before.get(1);
  let rows: Record<number, unknown> = { 1: { name: 'Ada' }, 2: { name: 7 } };
  const users = cache.define({
    name: 'user',
    schema: User,
    load: async (id: number) => rows[id] as { name: string },
  });
  expect(await users.get(1)).toEqual({ name: 'Ada', age: 18 });
  expect(unreadable).toMatchObject([
    { key: `${options.namespace}:user:1`, reason: { code: 'REDCACHE_SCHEMA' } },
  ]);
  expect(await client.get(`${options.namespace}:user:1`)).toMatch(/\n\{"name":"Ada"\}$/);
  await expect(users.get(2)).rejects.toThrow(SchemaError);
  // The lease is given back behind.
  await eventually(async () => (await client.exists(`${options.namespace}:user:2`)) === 0);
  await expect(users.set(3, { name: 7 } as never)).rejects.toThrow(/user:3.*name/);
  expect(await client.exists(`${options.namespace}:user:3`)).toBe(0);
  rows = { 2: { name: 'Eve', age: 3 } };
  expect(await users.get(2)).toEqual({ name: 'Eve', age: 3 });
  await users.set(3, { name: 'Max' });
  expect(await users.get(3)).toEqual({ name: 'Max', age: 18 });
});

test('a family has its own policy and form', async () => {
  const { cache } = await openCache(url, { ...fresh(), ttl: '1h', freeze: true });
  const photos = cache.define({
    name: 'photo',
    ttl: '7s',
    codec: 'bytes',
    freeze: 'clone',
    load: async (id: string) => Buffer.from(id),
  });
  const users = cache.define({ name: 'user', load: named });
  const photo = await photos.get('a');
  expect(photo).toEqual(Buffer.from('a'));
  expect(await photos.get('a')).not.toBe(photo);
  expect((await photos.getEntry('a')).remainingMs).toBeLessThanOrEqual(7_000);
  const user = await users.get(1);
  expect(Object.isFrozen(user)).toBe(true);
  expect(await users.get(1)).toBe(user);
  expect((await users.getEntry(1)).remainingMs).toBeGreaterThan(7_000);
});

test('what has aged is served and loaded anew behind, by its id', async () => {
  const { cache } = await openCache(url, fresh());
  let version = 1;
  const ids: unknown[] = [];
  const users = cache.define({
    name: 'user',
    grace: '1h',
    load: async (id: number) => {
      ids.push(id);
      return version;
    },
  });
  await users.get(42);
  version = 2;
  expect(await users.expire(42)).toBe(true);
  await eventually(async () => (await users.get(42)) === 2);
  expect(ids).toEqual([42, 42]);
  expect(users.stats().loads).toBe(2);
  expect(users.stats().refreshes.grace).toBeGreaterThan(0);
  expect(users.stats().staleHits).toBeGreaterThan(0);
});

test('its tags are those of the definition, unless a call says otherwise', async () => {
  const { cache } = await openCache(url, fresh());
  let team = 'red';
  const users = cache.define({
    name: 'user',
    load: async (id: number) => ({ id, team }),
    tags: (user) => [`team:${user.team}`],
  });
  await users.getMany([1, 2]);
  await users.get(3, { tags: ['other'] });
  await users.set(4, { id: 4, team: 'red' });
  team = 'blue';
  await cache.invalidateTag('team:red');
  const found = await users.getMany([1, 2, 3, 4]);
  expect([...found.values()].map((user) => user.team)).toEqual(['blue', 'blue', 'red', 'blue']);
});

test('an id may be an object, alike ones are one', async () => {
  const { cache } = await openCache(url, fresh());
  const calls: unknown[] = [];
  const users = cache.define({
    name: 'user',
    key: ({ tenant, id }: { tenant: string; id: number }) => `${tenant}:${id}`,
    loadMany: async (ids) => {
      calls.push(ids);
      return Object.fromEntries(
        ids.map(({ tenant, id }) => [`${tenant}:${id}`, `${tenant} ${id}`]),
      );
    },
  });
  const ids = [
    { tenant: 'a', id: 1 },
    { tenant: 'b', id: 1 },
    { tenant: 'a', id: 1 },
  ];
  const found = await users.getMany(ids);
  expect(ids.map((id) => found.get(id))).toEqual(['a 1', 'b 1', 'a 1']);
  expect(calls).toEqual([[ids[0], ids[1]]]);
  const changing = { tenant: 'a', id: 1 };
  expect(await users.get(changing)).toBe('a 1');
  changing.tenant = 'b';
  expect(await users.get(changing)).toBe('b 1');
  expect(calls).toHaveLength(1);
});

test('writes go by id, and what fails is named', async () => {
  const { cache } = await openCache(url, fresh());
  const users = cache.define<number, unknown>({ name: 'user' });
  expect(await users.get(1)).toBeUndefined();
  await users.setMany([
    [1, 'a'],
    [2, 'b'],
    [3, undefined],
  ]);
  expect(await users.getMany([1, 2, 3, 4])).toEqual(
    new Map([
      [1, 'a'],
      [2, 'b'],
    ]),
  );
  expect(await users.touchMany([1, 4, 2], '5s')).toEqual(new Set([1, 2]));
  expect(await users.touch(1, '9s')).toBe(true);
  expect((await users.getEntry(1)).remainingMs).toBeGreaterThan(5_000);
  expect((await users.getEntry(2)).remainingMs).toBeLessThanOrEqual(5_000);
  const error: BatchError = await users
    .setMany([
      [5, 'e'],
      [6, 1n],
    ])
    .then(
      () => expect.unreachable(),
      (reason) => reason,
    );
  expect(error).toMatchObject({
    code: 'REDCACHE_BATCH',
    succeeded: ['user:5'],
    failed: ['user:6'],
  });
  expect(error.errorFor(users.nameOf(6))).toMatchObject({ code: 'REDCACHE_CODEC' });
  await users.deleteMany([1, 2, 1]);
  await users.deleteMany([]);
  await users.delete(5);
  expect(await users.getMany([1, 2, 5])).toEqual(new Map());
});

test('a writer is called by id under the lock of its key, and readers get what the schema makes of it', async () => {
  const options = fresh();
  const [one, two] = [await openCache(url, options), await openCache(url, options)];
  const define = ({ cache }: typeof one) =>
    cache.define({
      name: 'user',
      key: (id: number) => String(id),
      schema: User,
      tags: ({ name }) => [`of:${name}`],
    });
  const [here, there] = [define(one), define(two)];
  const tokens: bigint[] = [];
  const rename = (id: number, { fencingToken }: { fencingToken: bigint }): { name: string } => {
    tokens.push(fencingToken);
    return { name: `user ${id}` };
  };
  expect(await here.write(1, rename)).toEqual({ name: 'user 1', age: 18 });
  expect(await there.getEntry(1)).toMatchObject({ value: { age: 18 }, source: 'redis' });
  await two.cache.invalidateTag('of:user 1');
  expect(await here.get(1)).toBeUndefined();
  await there.write(1, rename);
  expect((tokens[1] as bigint) > (tokens[0] as bigint)).toBe(true);

  const written = await here.writeMany([1, 2, 3], (ids, { fencingTokenOf }) => {
    expect(fencingTokenOf(1) > (tokens[1] as bigint)).toBe(true);
    return new Map(ids.filter((id) => id !== 2).map((id) => [id, { name: `many ${id}` }]));
  });
  expect([...written]).toEqual([1, 3].map((id) => [id, { name: `many ${id}`, age: 18 }]));
  expect((await there.getMany([1, 2, 3])).get(3)).toEqual({ name: 'many 3', age: 18 });
  expect(here.stats().writes).toBe(4);
  await expect(here.write(4, () => ({ name: 4 as never }))).rejects.toThrow(SchemaError);
  await expect(here.writeMany([4], () => [] as never)).rejects.toThrow(/must answer a Map/);
  await expect(here.write(4, undefined as never)).rejects.toThrow(ConfigError);
});

test('each family is counted by itself, and with all the others', async () => {
  const { cache } = await openCache(url, fresh());
  const users = cache.define({ name: 'user', load: named });
  const posts = cache.define({
    name: 'post',
    load: async (_: number): Promise<string> => {
      throw new Error('no posts today');
    },
  });
  await cache.get('plain', () => 1);
  await cache.get('plain');
  for (const id of [1, 2, 1, 1]) await users.get(id);
  await users.set(3, { id: 3 });
  await users.delete(3);
  await expect(posts.get(1)).rejects.toThrow('no posts today');
  expect(users.stats()).toMatchObject({ loads: 2, localHits: 2, writes: 1, deletes: 1 });
  const { families, ...all } = cache.stats();
  expect(families).toMatchObject({ post: { loads: 1, loadFailures: 1, localHits: 0 } });
  expect(families.user).toEqual(users.stats());
  expect(all).toMatchObject({ loads: 4, loadFailures: 1, localHits: 3, writes: 1, deletes: 1 });
  expect(all.refreshes).toEqual({ grace: 0, early: 0, hot: 0 });
  expect([all.loadTime.count, families.user?.loadTime.count]).toEqual([4, 2]);
  expect([all.misses, families.post?.misses]).toEqual([4, 1]);
});

test('a name is given once, and nothing works after close', async () => {
  const { cache } = await openCache(url, fresh());
  const options = { name: 'user', load: named };
  const users = cache.define(options);
  expect(cache.define(options)).toBe(users);
  expect(() => cache.define({ ...options })).toThrow(ConfigError);
  expect(() => cache.define({ ...options })).toThrow(/there is a family 'user' already/);
  await users.get(1);
  await expect(users.get('1' as never)).rejects.toThrow(ConfigError);
  await expect(users.getMany('12' as never)).rejects.toThrow(/ids must be an array/);
  await cache.close();
  expect(() => cache.define({ ...options, name: 'other' })).toThrow(ClosedError);
  await expect(users.get(1)).rejects.toThrow(ClosedError);
  await expect(users.getMany([1])).rejects.toThrow(ClosedError);
  await expect(users.set(1, { id: 1 })).rejects.toThrow(ClosedError);
  expect(() => users.peek(1)).toThrow(ClosedError);
});
