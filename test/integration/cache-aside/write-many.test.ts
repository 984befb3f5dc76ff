// Many keys are written under the locks of all; each is stored, or fails, by itself.
import { BatchError } from '@redcache/cache-aside';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { newKey, openCache } from './local-cache.ts';

let server: StandaloneDeployment;
beforeAll(async () => {
  server = await startStandalone();
});
afterAll(() => server.stop());
const open = () => openCache(server.url, { timeout: { redis: '10s' } });

test('stores each value; a key that is left out is absent', async () => {
  const { cache } = await open();
  const [a, b, c] = [newKey(), newKey(), newKey()];
  await cache.set(c, 'old');
  const seen: unknown[] = [];
  const values = await cache.writeMany([b, a, c, a], (keys, ctx) => {
    seen.push(
      keys,
      keys.map((key) => typeof ctx.fencingTokenOf(key)),
    );
    expect(() => ctx.fencingTokenOf('another')).toThrow(/is not written/);
    return { [a]: 1, [b]: null };
  });
  expect(seen).toEqual([
    [b, a, c],
    ['bigint', 'bigint', 'bigint'],
  ]);
  expect([...values]).toEqual([
    [b, null],
    [a, 1],
  ]);
  const found = await cache.getMany([a, b, c], () => expect.fail('all are known'));
  expect(found).toEqual(
    values.size === 2
      ? new Map([
          [a, 1],
          [b, null],
        ] as never)
      : undefined,
  );
});

test('what fails for one key is told of that key, and the others are stored', async () => {
  const { cache } = await open();
  const [good, bad, lost] = [newKey(), newKey(), newKey()];
  for (const key of [good, bad, lost]) await cache.set(key, 'old');
  const failure = await cache
    .writeMany([good, bad, lost], async () => {
      await server.node.ask('DEL', `{${lost}}:redcache:write`);
      return new Map<string, unknown>([
        [good, 'new'],
        [bad, 1n],
        [lost, 'new'],
      ]);
    })
    .then(
      () => expect.fail('it failed'),
      (error: BatchError) => error,
    );
  expect(failure).toBeInstanceOf(BatchError);
  expect([failure.succeeded, failure.failed]).toEqual([[good], [bad, lost]]);
  expect(failure.errorFor(bad)).toMatchObject({ code: 'REDCACHE_CODEC' });
  expect(failure.errorFor(lost)).toMatchObject({ code: 'REDCACHE_LOCK_LOST', key: lost });
  expect(failure.errorFor(good)).toBeUndefined();
  expect(await cache.get(good)).toBe('new');
  expect(await server.node.ask('EXISTS', bad, lost)).toBe(0);
});

test('many at once, in opposite orders, from two caches: nobody waits for ever', async () => {
  const caches = [await open(), await open()];
  const keys = Array.from({ length: 20 }, newKey);
  const writing = new Set<string>();
  const source = new Map<string, number>(keys.map((key) => [key, 0]));
  const increase = async (names: string[]): Promise<Map<string, number>> => {
    for (const name of names) {
      expect(writing.has(name)).toBe(false);
      writing.add(name);
    }
    await new Promise(setImmediate);
    for (const name of names) source.set(name, (source.get(name) ?? 0) + 1);
    for (const name of names) writing.delete(name);
    return new Map(names.map((name) => [name, source.get(name) ?? 0]));
  };
  await Promise.all(
    Array.from({ length: 20 }, (_, i) => {
      const some = keys.filter((_key, at) => (at + i) % 3 !== 0);
      return caches[i % 2]?.cache.writeMany(i % 4 < 2 ? some : some.reverse(), increase);
    }),
  );
  for (const { cache } of caches) expect(await cache.getMany(keys)).toEqual(source);
});
