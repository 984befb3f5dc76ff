import { clientSideCache } from '@redcache/core/node-redis';
import { createClient, createClientPool, createCluster, createSentinel } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { callsOf, onMasters, openCached } from './cached-kind.ts';
import { KINDS, startFor } from './four-kinds.ts';

/** What users of node-redis's own cache count on; see docs/node-redis-cache-cases.md. */
for (const kind of KINDS)
  describe(kind, () => {
    let deployment: Deployment;
    beforeAll(async () => {
      deployment = await startFor(kind);
    });
    afterAll(() => deployment.stop());

    test('the first read of a key is a miss, later ones are hits that send nothing', async () => {
      await using open = await openCached(kind, deployment);
      const { client, cache, keyFor, counted } = open;
      const keys = Array.from({ length: 12 }, (_, i) => keyFor(i));
      await Promise.all(keys.map((key) => client.set(key, `value of ${key}`)));
      const values = keys.map((key) => `value of ${key}`);
      const sent = async () =>
        (await callsOf(deployment, 'get')) + (await callsOf(deployment, 'pttl'));
      for (const key of keys) expect(await client.get(key)).toBe(`value of ${key}`);
      expect(counted()).toMatchObject({ hits: 0, misses: 12, loads: 12, fills: 12 });
      const before = await sent();
      for (let i = 0; i < 3; i += 1)
        expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(values);
      expect(await sent()).toBe(before);
      expect(cache.stats()).toMatchObject({ hitCount: 36, missCount: 12, loadSuccessCount: 12 });
      expect(cache.size()).toBe(12);
    });

    test('what others write is read anew, and the cache tells of it by its event', async () => {
      await using open = await openCached(kind, deployment);
      const { client, writer, cache, keyFor, invalidated, counted } = open;
      const [x, y] = [keyFor('x'), keyFor('y')];
      await Promise.all([writer.set(x, '0'), writer.set(y, 'undisturbed')]);
      await Promise.all([client.get(x), client.get(y)]);
      counted();
      const told: string[] = [];
      cache.on('invalidate', (key) => told.push(String(key)));
      for (const value of ['1', '2', '3']) {
        const gone = invalidated(x);
        await writer.set(x, value);
        expect(await gone).toBe('push');
        expect([await client.get(x), await client.get(x)]).toEqual([value, value]);
        expect(await client.get(y)).toBe('undisturbed');
      }
      expect(counted()).toMatchObject({ misses: 3, hits: 6 });
      expect(told).toEqual([x, x, x]);
    });

    test('the copy that was used longest ago leaves when there are too many', async () => {
      await using open = await openCached(kind, deployment, { options: { maxEntries: 10 } });
      const { client, cache, keyFor, counted } = open;
      const read = async (...numbers: number[]) => {
        for (const n of numbers) await client.get(keyFor(n));
      };
      await read(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
      expect(cache.size()).toBe(10);
      await read(1);
      expect(counted()).toMatchObject({ misses: 12, hits: 0 });
      // Now 3 is the oldest; used once more, it outlives 4.
      await read(3, 20);
      expect(counted()).toMatchObject({ misses: 1, hits: 1 });
      await read(3, 4);
      expect(counted()).toMatchObject({ misses: 1, hits: 1 });
      expect(cache.stats().evictionCount).toBe(4);
    });

    test('a copy ends by the `ttl` of the options, or by the server’s when that is sooner', async () => {
      await using open = await openCached(kind, deployment, { options: { ttl: '1h' } });
      const { client, engine, writer, keyFor } = open;
      await writer.set(keyFor('long'), 'value', { PX: 10_000_000 });
      await writer.set(keyFor('short'), 'value', { PX: 60_000 });
      const leftMs = async (name: string) => {
        await client.get(keyFor(name));
        const entry = engine.internals.store.find(keyFor(name), 'GET');
        return Number(entry?.deadlineAtMs) - engine.clock.nowMs();
      };
      expect(await leftMs('long')).toBeLessThanOrEqual(3_600_000);
      expect(await leftMs('long')).toBeGreaterThan(3_000_000);
      expect(await leftMs('short')).toBeLessThanOrEqual(60_000);
      expect(await leftMs('short')).toBeGreaterThan(10_000);
      const ending = await openCached(kind, deployment, { options: { ttl: 30 } });
      await ending.client.get(keyFor('long'));
      await eventually(
        async () =>
          (await ending.client.get(keyFor('long'))) && ending.engine.stats().evictions.ttl,
      );
      await ending.close();
    });

    test('clear() and the push of nothing in particular forget every copy', async () => {
      await using open = await openCached(kind, deployment);
      const { client, cache, keyFor, counted } = open;
      const keys = [keyFor(1), keyFor(2), keyFor(3)];
      const readAll = () => Promise.all(keys.map((key) => client.get(key)));
      for (const forget of [() => cache.clear(), () => cache.invalidate(null)]) {
        await readAll();
        await readAll();
        expect(counted()).toMatchObject({ misses: 3, hits: 3 });
        forget();
        expect(cache.size()).toBe(0);
      }
    });

    test('a key given to invalidate() by hand is forgotten, and no other', async () => {
      await using open = await openCached(kind, deployment);
      const { client, cache, keyFor, counted } = open;
      for (const key of [keyFor(1), keyFor(2)]) await client.get(key);
      cache.invalidate(Buffer.from(keyFor(1)));
      counted();
      for (const key of [keyFor(1), keyFor(2)]) await client.get(key);
      expect(counted()).toMatchObject({ misses: 1, hits: 1 });
    });

    test('FLUSHALL by somebody else empties it', async () => {
      await using open = await openCached(kind, deployment);
      const { client, writer, engine, keyFor } = open;
      const keys = Array.from({ length: 12 }, (_, i) => keyFor(i));
      await Promise.all(keys.map((key) => writer.set(key, 'value')));
      await Promise.all(keys.map((key) => client.get(key)));
      expect(engine.stats().entries).toBe(12);
      await onMasters(deployment, 'FLUSHALL');
      await eventually(() => engine.stats().entries === 0);
      expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys.map(() => null));
    });

    test('when its connections are cut nothing of before is served, and it caches again', async () => {
      await using open = await openCached(kind, deployment);
      const { client, writer, engine, keyFor } = open;
      const keys = Array.from({ length: 12 }, (_, i) => keyFor(i));
      const all = (task: (key: string) => Promise<unknown>) => Promise.all(keys.map(task));
      await all((key) => writer.set(key, 'old'));
      await all((key) => client.get(key));
      await onMasters(deployment, 'CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await eventually(() => all((key) => writer.set(key, 'new')));
      const values = await eventually(() => all((key) => client.get(key)));
      expect(values).toEqual(keys.map(() => 'new'));
      await eventually(async () => {
        const { hits } = engine.stats();
        await all((key) => client.get(key));
        return engine.stats().hits - hits === keys.length;
      });
      expect(engine.stats().reconnects).toBeGreaterThanOrEqual(1);
    });

    test('an error is each caller’s own and is not kept', async () => {
      await using open = await openCached(kind, deployment);
      const { client, cache, writer, keyFor } = open;
      await writer.hSet(keyFor('hash'), { field: 'value' });
      for (let i = 0; i < 2; i += 1)
        await expect(client.get(keyFor('hash'))).rejects.toThrow(/^WRONGTYPE/);
      const together = [client.get(keyFor('hash')), client.get(keyFor('hash'))];
      for (const { status } of await Promise.allSettled(together)) expect(status).toBe('rejected');
      expect(cache.size()).toBe(0);
      expect(cache.stats()).toMatchObject({ loadFailureCount: 3, loadSuccessCount: 0 });
      await writer.del(keyFor('hash'));
      await writer.set(keyFor('hash'), 'text now');
      expect(await client.get(keyFor('hash'))).toBe('text now');
    });

    test('reads of one key at the same time are one command', async () => {
      await using open = await openCached(kind, deployment);
      const { client, writer, keyFor, counted } = open;
      await writer.set(keyFor('x'), 'value');
      const before = await callsOf(deployment, 'get');
      const values = await Promise.all(Array.from({ length: 50 }, () => client.get(keyFor('x'))));
      expect(new Set(values)).toEqual(new Set(['value']));
      expect((await callsOf(deployment, 'get')) - before).toBe(1);
      const { coalesced, hits, loads } = counted();
      // A pool hands out its members one by one, so that some callers come when it is here already.
      expect([loads, coalesced + hits]).toEqual([1, 49]);
    });

    test('statistics in node-redis’s own shape, with their rates', async () => {
      await using open = await openCached(kind, deployment, { options: { maxEntries: 2 } });
      const { client, cache, keyFor } = open;
      for (const n of [1, 2, 1, 2, 3, 1, 3]) await client.get(keyFor(n));
      const stats = cache.stats();
      expect(stats).toMatchObject({
        hitCount: 3,
        missCount: 4,
        loadSuccessCount: 4,
        evictionCount: 2,
      });
      expect([stats.requestCount(), stats.hitRate(), stats.missRate()]).toEqual([7, 3 / 7, 4 / 7]);
      expect([stats.loadCount(), stats.loadFailureRate()]).toEqual([4, 0]);
      expect(stats.averageLoadPenalty()).toBe(stats.totalLoadTime / 4);
      expect(stats.totalLoadTime).toBeGreaterThan(0);
      expect(cache.stats().minus(stats).requestCount()).toBe(0);
    });

    test('closed, it leaves nothing behind in its cache', async () => {
      await using open = await openCached(kind, deployment);
      await Promise.all([1, 2, 3, 4, 5, 6].map((n) => open.client.get(open.keyFor(n))));
      expect(open.cache.size()).toBe(6);
      await (open.raw as { close(): Promise<unknown> }).close();
      expect(open.engine.stats()).toMatchObject({ entries: 0, connections: 0 });
      expect(open.engine.internals.guards.size).toBe(0);
    });
  });

describe('duplicate()', () => {
  test('a pool of node-redis has none; two that are given one cache share it', async () => {
    await using deployment = await startFor('pool');
    await using open = await openCached('pool', deployment);
    expect('duplicate' in open.raw).toBe(false);
    const { client, cache, keyFor } = open;
    await client.get(keyFor(1));
    await using twin = await openCached('pool', deployment, { cache });
    open.counted();
    expect(await twin.client.get(keyFor(1))).toBeNull();
    expect(open.counted()).toMatchObject({ hits: 1, misses: 0 });
  });

  for (const kind of ['client', 'cluster', 'sentinel'] as const)
    test(`${kind}: shares the cache, and takes only what it read itself when it is closed`, async () => {
      await using deployment = await startFor(kind);
      await using open = await openCached(kind, deployment);
      const { client, cache, engine, keyFor, counted } = open;
      const twin = (open.raw as { duplicate(): unknown }).duplicate() as typeof client & {
        connect(): Promise<unknown>;
        close(): Promise<unknown>;
      };
      twin.on('error', () => {});
      await twin.connect();
      expect(twin.clientSideCache).toBe(cache);
      // One slot, so that all of it is asked for on the same connection of each.
      const key = (name: string): string => `{${keyFor('twin')}}:${name}`;
      const isHit = async (read: () => Promise<unknown>): Promise<boolean> => {
        const { hits } = engine.stats();
        await read();
        return engine.stats().hits > hits;
      };
      // What it reads is served once its own connection has shown that pushes arrive there.
      let tries = 0;
      await eventually(async () => {
        tries += 1;
        await twin.get(key(`try ${tries}`));
        return isHit(() => twin.get(key(`try ${tries}`)));
      });
      await client.get(key('of the first'));
      await twin.get(key('of the twin'));
      counted();
      expect(await twin.get(key('of the first'))).toBeNull();
      expect(await client.get(key('of the twin'))).toBeNull();
      expect(counted()).toMatchObject({ hits: 2, misses: 0 });
      await twin.close();
      await client.get(key('of the first'));
      expect(counted()).toMatchObject({ hits: 1, misses: 0 });
      await client.get(key('of the twin'));
      expect(counted()).toMatchObject({ hits: 0, misses: 1 });
    });
});

describe('set-up', () => {
  test('a client that never was connected takes nothing with it when it is destroyed', async () => {
    await using deployment = await startFor('client');
    await using open = await openCached('client', deployment);
    await open.client.get(open.keyFor(1));
    const never = createClient({ RESP: 3, clientSideCache: open.cache });
    for (let i = 0; i < 2; i += 1) never.destroy();
    expect(open.cache.size()).toBe(1);
    open.counted();
    await open.client.get(open.keyFor(1));
    expect(open.counted()).toMatchObject({ hits: 1 });
  });

  test('protocol 2 is refused by node-redis itself, whatever the kind; 3 and the default are not', () => {
    const makers = {
      client: (RESP?: 2 | 3) =>
        createClient({ ...(RESP && { RESP }), clientSideCache: clientSideCache() }),
      pool: (RESP?: 2 | 3) =>
        createClientPool({ ...(RESP && { RESP }) }, {
          clientSideCache: clientSideCache(),
        } as never),
      cluster: (RESP?: 2 | 3) =>
        createCluster({
          rootNodes: [{ url: 'redis://127.0.0.1:1' }],
          ...(RESP && { RESP }),
          clientSideCache: clientSideCache(),
        }),
      sentinel: (RESP?: 2 | 3) =>
        createSentinel({
          name: 'any',
          sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }],
          ...(RESP && { RESP }),
          clientSideCache: clientSideCache(),
        }),
    };
    for (const kind of KINDS) {
      if (kind !== 'pool') expect(() => makers[kind](2), kind).toThrow(/RESP/);
      expect(() => makers[kind](3), kind).not.toThrow();
      expect(() => makers[kind](), kind).not.toThrow();
    }
  });
});
