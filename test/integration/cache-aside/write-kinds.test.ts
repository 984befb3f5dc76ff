// Writing under the lock of a key in a cluster, where the lock has to be in the slot of the key, and
// over a pool, where commands take many connections.
import { type Cache, createCache } from '@redcache/cache-aside';
import { clientSideCache } from '@redcache/core/node-redis';
import { createClientPool, createCluster } from 'redis';
import { expect, onTestFinished, test } from 'vitest';
import { startCluster, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';

interface Opened {
  readonly cache: Cache;
  readonly drop: (key: string) => Promise<unknown>;
}

const PATIENT = { namespace: 'ns', timeout: { redis: '10s' } } as const;

async function writesThrough([here, there]: readonly [Opened, Opened]): Promise<void> {
  const keys = ['a', 'b', 'user:{1}:x', 'a}b', '{}c', 'd{', 'e{}{f}'];
  for (const key of keys) {
    await here.cache.set(key, 'old');
    const order: string[] = [];
    const write = (name: string) => async () => {
      order.push(name);
      await new Promise(setImmediate);
      order.push(name);
      return name;
    };
    await Promise.all([here.cache.write(key, write('x')), there.cache.write(key, write('y'))]);
    expect([order[0], order[2]]).toEqual([order[1], order[3]]);
    for (const { cache } of [here, there])
      await eventually(async () => (await cache.get(key)) === order[3]);
  }
  await Promise.all([
    here.cache.writeMany(keys, (names) => new Map(names.map((name) => [name, 'x']))),
    there.cache.writeMany(keys.toReversed(), (names) => new Map(names.map((name) => [name, 'y']))),
  ]);
  const values = new Set((await here.cache.getMany<string>(keys)).values());
  expect(values.size).toBe(1);
  const lost = here.cache.write('a', async () => {
    await there.drop('{ns:a}:redcache:write');
    return 'lost';
  });
  await expect(lost).rejects.toMatchObject({ code: 'REDCACHE_LOCK_LOST', key: 'a' });
  expect(await there.cache.get('a', () => 'loaded')).toBe('loaded');
}

test('in a cluster', async () => {
  await using cluster = await startCluster();
  const rootNodes = cluster.nodesOf('master').map(({ host, port }) => ({ socket: { host, port } }));
  const open = async (): Promise<Opened> => {
    const client = createCluster({ rootNodes, RESP: 3, clientSideCache: clientSideCache() });
    client.on('error', () => {});
    await client.connect();
    const cache = createCache({ client: client as never, ...PATIENT });
    onTestFinished(async () => {
      await cache.close();
      client.destroy();
    });
    return { cache, drop: (key) => client.del(key) };
  };
  await writesThrough([await open(), await open()]);
});

test('over a pool', async () => {
  await using server = await startStandalone();
  const open = async (): Promise<Opened> => {
    const pool = createClientPool(
      { url: server.url, RESP: 3 },
      { clientSideCache: clientSideCache() },
    );
    pool.on('error', () => {});
    await pool.connect();
    const cache = createCache({ client: pool as never, ...PATIENT });
    onTestFinished(async () => {
      await cache.close();
      pool.destroy();
    });
    return { cache, drop: (key) => pool.del(key) };
  };
  await writesThrough([await open(), await open()]);
});
