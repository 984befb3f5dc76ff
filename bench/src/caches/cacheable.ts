import KeyvRedis from '@keyv/redis';
import { Cacheable, createKeyv } from 'cacheable';
import type { Cache, Setting } from './cache.ts';

/** Memory and Redis. What would tell other processes of writes is a package of its own. */
export async function openCacheable(setting: Setting): Promise<Cache> {
  const { url, ttlMs, maxEntries, load } = setting;
  const cache = new Cacheable({
    primary: createKeyv({ lruSize: maxEntries }),
    secondary: new KeyvRedis(url),
    ttl: ttlMs,
  });
  const get = (key: string): Promise<unknown> => cache.getOrSet(key, () => load(key));
  return {
    get,
    getMany: async (keys) => {
      const values = await cache.getMany(keys);
      const missing = keys.filter((_, i) => values[i] === undefined);
      if (missing.length === 0) return values;
      const loaded = await setting.loadMany(missing);
      await cache.setMany(Array.from(loaded, ([key, value]) => ({ key, value })));
      return values.map((value, i) => value ?? loaded.get(keys[i] as string));
    },
  };
}
