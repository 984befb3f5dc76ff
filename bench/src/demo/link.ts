import { type Cache, createCache } from '@redcache/cache-aside';
import { clientSideCache, trackingOf } from '@redcache/core/node-redis';
import { createClient } from 'redis';

const RECONNECT_EVERY_MS = 100;
/** Longer than any run that someone watches: nothing expires while it runs, but all does one day. */
const TTL = '2h';

/** A process's way to the cache. */
export interface Link extends AsyncDisposable {
  readonly cache: Cache;
  /** Invalidation pushes received. */
  pushes(): number;
}

/** Throws: if Redis does not answer. `onLoss` is told whenever an established connection is lost. */
export async function openLink(
  url: string,
  namespace: string,
  onLoss: () => void = () => {},
): Promise<Link> {
  const client = createClient({
    url,
    clientSideCache: clientSideCache(),
    socket: { reconnectStrategy: () => RECONNECT_EVERY_MS },
  });
  let connected = false;
  client.on('ready', () => {
    connected = true;
  });
  // It comes again with every attempt that fails.
  client.on('error', () => {
    if (connected) onLoss();
    connected = false;
  });
  await client.connect();
  const cache = createCache({ client, namespace, ttl: TTL });
  return {
    cache,
    pushes: () => trackingOf(client).stats().pushes,
    [Symbol.asyncDispose]: async () => {
      await cache.close();
      client.destroy();
    },
  };
}
