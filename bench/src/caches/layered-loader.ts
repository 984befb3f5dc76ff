import { createNotificationPair, Loader, RedisCache } from 'layered-loader';
import { connectIoredis } from '../lockers/ioredis.ts';
import type { Cache, Setting } from './cache.ts';

/** Memory, Redis, and notifications that tell the other processes of writes. */
export async function openLayeredLoader(setting: Setting): Promise<Cache> {
  const { url, namespace, ttlMs, maxEntries, load, loadMany } = setting;
  const connect = () => connectIoredis(url) as Promise<never>;
  const { publisher, consumer } = createNotificationPair<unknown>({
    channel: `${namespace}:layered-loader`,
    publisherRedis: await connect(),
    consumerRedis: await connect(),
  });
  const loader = new Loader<unknown>({
    inMemoryCache: { cacheType: 'lru-map', ttlInMsecs: ttlMs, maxItems: maxEntries },
    asyncCache: new RedisCache<unknown>(await connect(), {
      prefix: `${namespace}:layered-loader`,
      json: true,
      ttlInMsecs: ttlMs,
    }),
    dataSourceGetOneFn: load,
    dataSourceGetManyFn: async (keys) => [...(await loadMany(keys)).values()],
    cacheKeyFromValueResolver: (value) => (value as { readonly id: string }).id,
    notificationPublisher: publisher,
    notificationConsumer: consumer,
  });
  await loader.init();
  return {
    get: (key) => loader.get(key),
    peek: (key) => loader.getInMemoryOnly(key),
    getMany: (keys) => loader.getMany(keys),
  };
}
