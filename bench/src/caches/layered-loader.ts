import { createNotificationPair, Loader, RedisCache } from 'layered-loader';
import { connectIoredis } from '../connect-ioredis.ts';
import type { Setting, TellingCache } from './cache.ts';

/** Memory, Redis, and notifications that tell the other processes of writes. */
export async function openLayeredLoader(setting: Setting): Promise<TellingCache> {
  const { url, namespace, ttlMs, maxEntries, load, loadMany } = setting;
  const connections = await Promise.all(
    Array.from({ length: 3 }, () => connectIoredis(url, { reconnects: setting.outlivesServer })),
  );
  const [publisherRedis, consumerRedis, storeRedis] = connections as unknown as [
    never,
    never,
    never,
  ];
  const channel = `${namespace}:layered-loader`;
  const { publisher, consumer } = createNotificationPair<unknown>({
    ...{ channel, publisherRedis, consumerRedis },
  });
  const loader = new Loader<unknown>({
    inMemoryCache: { cacheType: 'lru-map', ttlInMsecs: ttlMs, maxItems: maxEntries },
    asyncCache: new RedisCache<unknown>(storeRedis, {
      prefix: channel,
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
    invalidate: (key) => loader.invalidateCacheFor(key),
    destroy: () => {
      for (const connection of connections) connection.disconnect();
    },
  };
}
