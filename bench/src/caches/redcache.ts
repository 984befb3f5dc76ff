import { type Cache as AsideCache, createCache } from '@redcache/cache-aside';
import { clientSideCache } from '@redcache/core/node-redis';
import { connect } from '../connect.ts';
import type { Cache, Setting } from './cache.ts';

/**
 * A measurement of hits leaves the event loop no turn to hear from the server, so that on a busy
 * machine the connection would count as silent in the middle of it.
 */
const UNHEARD = { maxStaleness: false } as const;

/** As the README of the package begins. */
export async function openRedcache(setting: Setting): Promise<Cache> {
  const { load } = setting;
  const cache = await openAside(setting);
  return {
    get: (key) => cache.get(key, load),
    peek: (key) => cache.peek(key),
    getMany: (keys) => cache.getMany(keys, setting.loadMany),
  };
}

/** The same, with keys that are put together of a namespace and a name. */
export async function openNamespaced(setting: Setting): Promise<Cache> {
  const { load } = setting;
  const cache = await openAside(setting, `${setting.namespace}:namespace`);
  return {
    get: (key) => cache.get(key, load),
    getMany: (keys) => cache.getMany(keys, setting.loadMany),
  };
}

/** The same, with what is common to the values said once. */
export async function openFamily({ load, loadMany, ...setting }: Setting): Promise<Cache> {
  const cache = await openAside({ ...setting, load, loadMany }, `${setting.namespace}:families`);
  const family = cache.define<string, unknown>({ name: 'family', load, loadMany });
  return { get: (key) => family.get(key), getMany: (keys) => family.getMany(keys) };
}

async function openAside(
  { url, ttlMs, maxEntries }: Setting,
  namespace?: string,
): Promise<AsideCache> {
  const client = await connect(url, {
    clientSideCache: clientSideCache({ ...UNHEARD, maxEntries }),
  });
  return createCache({ client, ttl: ttlMs, ...(namespace === undefined ? {} : { namespace }) });
}
