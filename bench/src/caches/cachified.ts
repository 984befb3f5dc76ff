import {
  type CacheEntry,
  type Cache as CachifiedCache,
  cachified,
  totalTtl,
} from '@epic-web/cachified';
import { LRUCache } from 'lru-cache';
import { connect } from '../connect.ts';
import { type Cache, decoded, encoded, type Setting } from './cache.ts';

/** It works on one store, which is the user's: the memory of this process … */
export async function openCachifiedMemory(setting: Setting): Promise<Cache> {
  const lru = new LRUCache<string, CacheEntry>({ max: setting.maxEntries });
  return over(setting, {
    set: (key, entry) => {
      const ttl = totalTtl(entry.metadata);
      return lru.set(key, entry, {
        ...(ttl === Number.POSITIVE_INFINITY ? {} : { ttl }),
        start: entry.metadata.createdTime,
      });
    },
    get: (key) => lru.get(key),
    delete: (key) => lru.delete(key),
  });
}

/** … or Redis. */
export async function openCachifiedRedis(setting: Setting): Promise<Cache> {
  const client = await connect(setting.url);
  return over(setting, {
    set: (key, entry) => client.set(key, encoded(entry), { PX: totalTtl(entry.metadata) }),
    get: async (key) => decoded(await client.get(key)) as CacheEntry | undefined,
    delete: (key) => client.del(key),
  });
}

function over({ ttlMs, load }: Setting, cache: CachifiedCache): Cache {
  const get = (key: string): Promise<unknown> =>
    cachified({ key, cache, ttl: ttlMs, getFreshValue: () => load(key) });
  // What it has for many concerns loads alone.
  return { get, getMany: (keys) => Promise.all(keys.map(get)) };
}
