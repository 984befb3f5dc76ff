import { createKeyv as createKeyvRedis } from '@keyv/redis';
import { createCache } from 'cache-manager';
import { createKeyv } from 'cacheable';
import type { Cache, Setting } from './cache.ts';

/** Memory and Redis. Nothing tells other processes of writes. */
export async function openCacheManager(setting: Setting): Promise<Cache> {
  const { url, ttlMs, maxEntries, load } = setting;
  const stores = [createKeyv({ lruSize: maxEntries }), createKeyvRedis(url)];
  const cache = createCache({ stores, ttl: ttlMs });
  const get = (key: string): Promise<unknown> => cache.wrap(key, () => load(key));
  return {
    get,
    getMany: async (keys) => {
      const values = await cache.mget<unknown>(keys);
      const missing = keys.filter((_, i) => values[i] === undefined);
      if (missing.length === 0) return values;
      const loaded = await setting.loadMany(missing);
      await cache.mset(Array.from(loaded, ([key, value]) => ({ key, value })));
      return values.map((value, i) => value ?? loaded.get(keys[i] as string));
    },
  };
}
