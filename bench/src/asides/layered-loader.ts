import { createNotificationPair, Loader, RedisCache } from 'layered-loader';
import type { Aside, Load } from './aside.ts';
import { connectIoredis } from './clients.ts';

const TTL_MS = 600_000;

/** Memory, Redis, and notifications that tell the other processes of writes. */
export async function openLayeredLoader(url: string, namespace: string): Promise<Aside> {
  const connections = [
    await connectIoredis(url),
    await connectIoredis(url),
    await connectIoredis(url),
  ] as const;
  const [publisherRedis, consumerRedis, storeRedis] = connections as unknown as [
    never,
    never,
    never,
  ];
  const channel = `${namespace}:layered-loader`;
  const pair = createNotificationPair<number>({ channel, publisherRedis, consumerRedis });
  /** Its source is a part of it, and not of the call. */
  const loads = new Map<string, Load>();
  const loader = new Loader<number>({
    inMemoryCache: { cacheType: 'lru-map', ttlInMsecs: TTL_MS, maxItems: 10_000 },
    asyncCache: new RedisCache<number>(storeRedis, {
      prefix: channel,
      json: true,
      ttlInMsecs: TTL_MS,
    }),
    dataSourceGetOneFn: async (key) => (loads.get(key) as Load)(),
    notificationPublisher: pair.publisher,
    notificationConsumer: pair.consumer,
  });
  await loader.init();
  return {
    get: (key, load) => {
      loads.set(key, load);
      return loader.get(key);
    },
    invalidate: (key) => loader.invalidateCacheFor(key),
    destroy: () => {
      for (const connection of connections) connection.disconnect();
    },
  };
}
