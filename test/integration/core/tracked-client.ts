import type { TrackingCache } from '@redcache/core';
import {
  type ClientSideCacheOptions,
  clientSideCache,
  trackingOf,
} from '@redcache/core/node-redis';
import { createClient } from 'redis';

/** A connected client with our cache, and its engine. */
export async function trackedClient(url: string, options?: ClientSideCacheOptions) {
  const client = createClient({
    url,
    RESP: 3,
    clientSideCache: clientSideCache(options),
    socket: { reconnectStrategy: () => 5 },
  });
  client.on('error', () => {});
  await client.connect();
  const engine: TrackingCache = trackingOf(client);
  return {
    client,
    engine,
    /** Every push that the server sent before this call has been handled when it resolves. */
    drained: async (): Promise<void> => void (await client.ping()),
    [Symbol.asyncDispose]: async () => client.destroy(),
  };
}

/** A connected client without cache, for whoever else there is. */
export async function otherClient(url: string) {
  const client = createClient({ url });
  client.on('error', () => {});
  await client.connect();
  return { client, [Symbol.asyncDispose]: async () => client.destroy() };
}
