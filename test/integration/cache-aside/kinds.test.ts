// The same cache over each kind of client that node-redis offers.
import { type Cache, createCache } from '@redcache/cache-aside';
import { clientSideCache } from '@redcache/core/node-redis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Deployment } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { KINDS, type Kind, openKind, startFor } from '../core/four-kinds.ts';
import { loader } from './local-cache.ts';

async function open(kind: Kind, deployment: Deployment) {
  const opened = await openKind(kind, deployment, { cache: clientSideCache() as never });
  const cache = createCache({
    client: opened.raw as never,
    ttl: '1h',
    grace: '1h',
    timeout: { redis: '10s' },
  });
  onTestFinished(async () => {
    await cache.close();
    await opened.close();
  });
  return { cache, writer: opened.writer, keyFor: opened.keyFor };
}

/** Reads until it is kept in this process: a pool opens a connection for that first. */
const keepHere = (cache: Cache, ...keys: string[]): Promise<unknown> =>
  eventually(async () => {
    await cache.getMany(keys);
    return keys.every((key) => cache.peek(key).hit);
  });

for (const kind of KINDS)
  describe(kind, () => {
    let deployment: Deployment;
    beforeAll(async () => {
      deployment = await startFor(kind);
    });
    afterAll(() => deployment.stop());

    test('loads once for two caches, keeps here what was loaded, and hears of every change', async () => {
      const one = await open(kind, deployment);
      const two = await open(kind, deployment);
      const keys = Array.from({ length: 3 }, (_, i) => one.keyFor(i));
      for (const key of keys) {
        const { load, runs } = loader();
        const first = one.cache.get(key, load);
        await eventually(() => runs.length === 1);
        const second = two.cache.get(key, load);
        await eventually(() => two.cache.stats().waits > 0);
        runs[0]?.answer('v');
        expect([await first, await second]).toEqual(['v', 'v']);
        expect(runs).toHaveLength(1);
      }
      for (const { cache } of [one, two]) await keepHere(cache, ...keys);
      const [deleted, written, foreign] = keys as [string, string, string];
      await two.cache.delete(deleted);
      await two.cache.set(written, 'written');
      await one.writer.del(foreign);
      for (const { cache } of [one, two])
        await eventually(
          async () =>
            (await cache.get(deleted)) === undefined &&
            (await cache.get(written)) === 'written' &&
            (await cache.get(foreign)) === undefined,
        );
    });

    test('many keys, in whatever slots they lie, are read, loaded, written and deleted together', async () => {
      const { cache, keyFor } = await open(kind, deployment);
      const keys = Array.from({ length: 100 }, (_, i) => keyFor(i));
      await cache.setMany(keys.slice(0, 50).map((key) => [key, `set ${key}`]));
      const asked: string[][] = [];
      const found = await cache.getMany(keys, (missing) => {
        asked.push(missing);
        return Object.fromEntries(missing.map((key) => [key, `loaded ${key}`]));
      });
      expect(asked).toEqual([keys.slice(50)]);
      expect([...found]).toEqual(
        keys.map((key, i) => [key, i < 50 ? `set ${key}` : `loaded ${key}`]),
      );
      await keepHere(cache, ...keys);
      expect(await cache.touchMany(keys, '2h')).toEqual(new Set(keys));
      await cache.deleteMany(keys);
      expect(keys.some((key) => cache.peek(key).hit)).toBe(false);
      expect(await cache.getMany(keys)).toEqual(new Map());
    });

    test('what has aged is served while one loads it anew, its lease beside it in its slot', async () => {
      const one = await open(kind, deployment);
      const two = await open(kind, deployment);
      const key = one.keyFor('{aged');
      await one.cache.get(key, () => 'old');
      await one.cache.expire(key);
      const { load, runs } = loader();
      expect(await one.cache.get(key, load)).toBe('old');
      await eventually(() => runs.length === 1);
      expect(await two.cache.get(key, load)).toBe('old');
      runs[0]?.answer('new');
      for (const { cache } of [one, two])
        await eventually(async () => (await cache.get(key, load)) === 'new');
      expect(runs).toHaveLength(1);
    });

    test('tags and clear reach every cache, whatever slots their keys lie in', async () => {
      const one = await open(kind, deployment);
      const two = await open(kind, deployment);
      const keys = Array.from({ length: 6 }, (_, i) => one.keyFor(i));
      await one.cache.setMany(
        keys.map((key) => [key, 'v']),
        { tags: [one.keyFor('tag')] },
      );
      for (const { cache } of [one, two]) await keepHere(cache, ...keys);
      await two.cache.invalidateTag(one.keyFor('tag'));
      expect(keys.some((key) => two.cache.peek(key).hit)).toBe(false);
      await eventually(() => !keys.some((key) => one.cache.peek(key).hit));
      expect(await one.cache.getMany(keys)).toEqual(new Map());
      await one.cache.setMany(keys.map((key) => [key, 'w']));
      for (const { cache } of [one, two]) await keepHere(cache, ...keys);
      await one.cache.clear();
      expect(keys.some((key) => one.cache.peek(key).hit)).toBe(false);
      await eventually(() => !keys.some((key) => two.cache.peek(key).hit));
      expect(await two.cache.getMany(keys)).toEqual(new Map());
    });
  });
