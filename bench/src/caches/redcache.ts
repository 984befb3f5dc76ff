import { type Cache as AsideCache, createCache } from '@redcache/cache-aside';
import { clientSideCache, trackingOf } from '@redcache/core/node-redis';
import { type Client, connect } from '../connect.ts';
import type { Cache, Setting, TellingCache } from './cache.ts';

const PATIENCE = '10s';

/** As the README of the package begins. */
export async function openRedcache(setting: Setting): Promise<TellingCache> {
  const { load, loadMany } = setting;
  const { cache, client } = await openAside(setting);
  return {
    get: (key) => cache.get(key, load),
    peek: (key) => cache.peek(key),
    getMany: (keys) => cache.getMany(keys, loadMany),
    invalidate: (key) => cache.delete(key),
    onGone: (key, gone) => {
      const stop = trackingOf(client).onInvalidation(key, () => {
        stop();
        if (cache.peek(key).hit) throw new Error('told of the end of a copy that is there');
        gone();
      });
    },
    destroy: () => client.destroy(),
  };
}

/** The same, with keys that are put together of a namespace and a name. */
export async function openNamespaced(setting: Setting): Promise<Cache> {
  const { load, loadMany } = setting;
  const { cache } = await openAside(setting, `${setting.namespace}:namespace`);
  return {
    get: (key) => cache.get(key, load),
    getMany: (keys) => cache.getMany(keys, loadMany),
  };
}

/** The same, with what is common to the values said once. */
export async function openFamily(setting: Setting): Promise<Cache> {
  const { load, loadMany } = setting;
  const { cache } = await openAside(setting, `${setting.namespace}:families`);
  const family = cache.define<string, unknown>({ name: 'family', load, loadMany });
  return { get: (key) => family.get(key), getMany: (keys) => family.getMany(keys) };
}

async function openAside(
  setting: Setting,
  namespace?: string,
): Promise<{ readonly cache: AsideCache; readonly client: Client }> {
  const client = await connectTracked(setting);
  const cache = createCache({
    client,
    ttl: setting.ttlMs,
    // On a busy machine many values asked for at once may not be here within the default, and would
    // be loaded instead.
    ...(setting.outlivesServer ? {} : { timeout: { redis: PATIENCE } }),
    ...(namespace === undefined ? {} : { namespace }),
  });
  return { cache, client };
}

/** A client with the cache of redcache. */
export function connectTracked({ url, maxEntries, outlivesServer }: Setting): Promise<Client> {
  const heard = outlivesServer ? {} : ({ maxStaleness: false } as const);
  return connect(url, {
    clientSideCache: clientSideCache({ ...heard, maxEntries }),
    reconnects: outlivesServer,
  });
}
