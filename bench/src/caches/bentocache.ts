import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis';
import { connectIoredis } from '../lockers/ioredis.ts';
import type { Cache, Setting } from './cache.ts';

/** Memory, Redis, and a bus that tells the other processes of writes. */
export const openBentocache = (setting: Setting): Promise<Cache> => open(setting, true);

/** Values are handed out as they are, not decoded with every read. */
export const openUnserialized = (setting: Setting): Promise<Cache> => open(setting, false);

async function open(setting: Setting, serialize: boolean): Promise<Cache> {
  const { url, namespace, ttlMs, maxEntries, load } = setting;
  const connection = await connectIoredis(url);
  const store = bentostore()
    .useL1Layer(memoryDriver({ maxItems: maxEntries, serialize }))
    .useL2Layer(redisDriver({ connection: connection as never }))
    .useBus(redisBusDriver({ connection: (await connectIoredis(url)) as never }));
  const bento = new BentoCache({
    default: 'all',
    stores: { all: store },
    prefix: `${namespace}:bentocache`,
    ttl: ttlMs,
  });
  const get = (key: string): Promise<unknown> => bento.getOrSet({ key, factory: () => load(key) });
  // It has no way to ask for many.
  return { get, getMany: (keys) => Promise.all(keys.map(get)) };
}
