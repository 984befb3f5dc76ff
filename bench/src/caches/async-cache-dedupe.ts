import { createCache } from 'async-cache-dedupe';
import { connectIoredis } from '../connect-ioredis.ts';
import type { Cache, Setting } from './cache.ts';

type Storage = NonNullable<NonNullable<Parameters<typeof createCache>[0]>['storage']>;

/** It has one tier: the memory of this process … */
export async function openDedupeMemory(setting: Setting): Promise<Cache> {
  return defined(setting, { type: 'memory', options: { size: setting.maxEntries } });
}

/** … or Redis. */
export async function openDedupeRedis(setting: Setting): Promise<Cache> {
  const client = await connectIoredis(setting.url);
  return defined(setting, { type: 'redis', options: { client: client as never } });
}

function defined({ ttlMs, load, namespace }: Setting, storage: Storage): Cache {
  // The name of what is defined begins its keys.
  const name = `${namespace}:dedupe`;
  const cache = createCache({ ttl: ttlMs / 1000, storage });
  cache.define(name, load);
  const get = (cache as unknown as Record<string, (key: string) => Promise<unknown>>)[name] as (
    key: string,
  ) => Promise<unknown>;
  return { get: (key) => get(key), getMany: (keys) => Promise.all(keys.map((key) => get(key))) };
}
