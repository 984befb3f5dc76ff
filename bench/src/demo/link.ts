import { type Cache, createCache } from '@redcache/cache-aside';
import { clientSideCache, trackingOf } from '@redcache/core/node-redis';
import { createClient } from 'redis';

const RECONNECT_EVERY_MS = 100;
/** Longer than the database is ever stopped; what is left in Redis ends this long after the run. */
const GRACE = '1h';
/** As long as a stale read is allowed to be; a machine that others use is slower than Redis. */
const TIMEOUT = { redis: '2s' } as const;

/** A process's way to the cache. */
export interface Link extends AsyncDisposable {
  readonly cache: Cache;
  /** Invalidation pushes received. */
  pushes(): number;
}

export interface LinkOptions {
  readonly url: string;
  readonly namespace: string;
  /** Until a value is loaded anew, behind those who read it. */
  readonly ttlMs: number;
}

/** Throws: if Redis does not answer. `onLoss` is told whenever an established connection is lost. */
export async function openLink(
  { url, namespace, ttlMs }: LinkOptions,
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
  const cache = createCache({ client, namespace, ttl: ttlMs, grace: GRACE, timeout: TIMEOUT });
  return {
    cache,
    pushes: () => trackingOf(client).stats().pushes,
    [Symbol.asyncDispose]: async () => {
      await cache.close();
      client.destroy();
    },
  };
}
