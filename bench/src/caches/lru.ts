import { LRUCache } from 'lru-cache';
import type { Cache, Setting } from './cache.ts';

/** The limit of what a process can have at hand: no source, no Redis, nobody who says what changed. */
export async function openLru({ maxEntries }: Setting): Promise<Cache> {
  const lru = new LRUCache<string, object | string>({ max: maxEntries });
  return {
    get: (key) => lru.get(key),
    peek: (key) => lru.get(key),
    getMany: async (keys) => {
      const found = new Map<string, unknown>();
      for (const key of keys) found.set(key, lru.get(key));
      return found;
    },
    put: async (key, value) => lru.set(key, value as object | string),
  };
}
