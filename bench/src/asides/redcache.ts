import { setImmediate as turn } from 'node:timers/promises';
import { createCache } from '@redcache/cache-aside';
import { clientSideCache, trackingOf } from '@redcache/core/node-redis';
import type { Aside } from './aside.ts';
import { connectIoredis, connectNodeRedis } from './clients.ts';

/** As the README of the package begins. */
export async function openRedcache(url: string, namespace: string): Promise<Aside> {
  const client = await connectNodeRedis(url, { clientSideCache: clientSideCache() });
  const cache = createCache({ client });
  const full = (key: string): string => `${namespace}:redcache:${key}`;
  return {
    get: (key, load) => cache.get(full(key), load),
    invalidate: (key) => cache.delete(full(key)),
    onGone: (key, gone) => {
      const stop = trackingOf(client).onInvalidation(full(key), () => {
        stop();
        if (cache.peek(full(key)).hit) throw new Error('told of the end of a copy that is there');
        gone();
      });
    },
    destroy: () => client.destroy(),
  };
}

/** The cache under a client; who writes is any client of the same Redis. */
export async function openTrackedClient(url: string, namespace: string): Promise<Aside> {
  const client = await connectNodeRedis(url, { clientSideCache: clientSideCache() });
  // Of another library, so that what it writes is foreign also to this process.
  const other = await connectIoredis(url);
  const full = (key: string): string => `${namespace}:client:${key}`;
  return {
    get: async (key, load) => {
      let value = await client.get(full(key));
      if (value === null) await other.set(full(key), String(await load()));
      // What was written over another connection is here when the push is, which may take a moment.
      while (value === null) {
        await turn();
        value = await client.get(full(key));
      }
      return value;
    },
    invalidate: (key) => other.set(full(key), 'changed'),
    onGone: (key, gone) => {
      const stop = trackingOf(client).onInvalidation(full(key), () => {
        stop();
        gone();
      });
    },
    destroy: () => {
      client.destroy();
      other.disconnect();
    },
  };
}
