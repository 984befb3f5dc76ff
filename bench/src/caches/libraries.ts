import { openDedupeMemory, openDedupeRedis } from './async-cache-dedupe.ts';
import { openBentocache, openUnserialized } from './bentocache.ts';
import type { Cache, Setting } from './cache.ts';
import { openCacheManager } from './cache-manager.ts';
import { openCacheable } from './cacheable.ts';
import { openCachifiedMemory, openCachifiedRedis } from './cachified.ts';
import { openBuiltIn, openByHand, openClientSide, openPlain, openText } from './clients.ts';
import { openLayeredLoader } from './layered-loader.ts';
import { openLru } from './lru.ts';
import { openFamily, openNamespaced, openRedcache } from './redcache.ts';

/** What is measured, each in one manner. `lru` and the clients by themselves are limits. */
export type Library = keyof typeof LIBRARIES;

const LIBRARIES = {
  lru: openLru,
  redcache: openRedcache,
  'redcache, namespace': openNamespaced,
  'redcache, family': openFamily,
  'layered-loader': openLayeredLoader,
  bentocache: openBentocache,
  'bentocache, serialize: false': openUnserialized,
  cacheable: openCacheable,
  'cache-manager': openCacheManager,
  'async-cache-dedupe, memory': openDedupeMemory,
  'async-cache-dedupe, Redis': openDedupeRedis,
  'cachified, memory': openCachifiedMemory,
  'cachified, Redis': openCachifiedRedis,
  'client.get, redcache': openClientSide,
  'client.get, built in': openBuiltIn,
  'client.get': openPlain,
  'GET as text': openText,
  'by hand': openByHand,
} satisfies Record<string, (setting: Setting) => Promise<Cache>>;

export function openCache(library: Library, setting: Setting): Promise<Cache> {
  return LIBRARIES[library](setting);
}
