import type { Contender, Standing } from '../panel.ts';
import type { Cache, Setting, TellingCache } from './cache.ts';

type Opener<C extends Cache> = (setting: Setting) => Promise<C>;
type Openers<C extends Cache> = Readonly<Record<string, () => Promise<Opener<C>>>>;

/** Each is loaded where it is measured: what others bring along would be in the same heap. */
const TELLING = {
  redcache: async () => (await import('./redcache.ts')).openRedcache,
  'layered-loader': async () => (await import('./layered-loader.ts')).openLayeredLoader,
  bentocache: async () => (await import('./bentocache.ts')).openBentocache,
  'client.get, written elsewhere': async () => (await import('./elsewhere.ts')).openElsewhere,
  publish: async () => (await import('./publish.ts')).openPublish,
} as const satisfies Openers<TellingCache>;

const OPENERS = {
  ...TELLING,
  lru: async () => (await import('./lru.ts')).openLru,
  'redcache, namespace': async () => (await import('./redcache.ts')).openNamespaced,
  'redcache, family': async () => (await import('./redcache.ts')).openFamily,
  'bentocache, serialize: false': async () => (await import('./bentocache.ts')).openUnserialized,
  cacheable: async () => (await import('./cacheable.ts')).openCacheable,
  'cache-manager': async () => (await import('./cache-manager.ts')).openCacheManager,
  'async-cache-dedupe, memory': async () =>
    (await import('./async-cache-dedupe.ts')).openDedupeMemory,
  'async-cache-dedupe, Redis': async () =>
    (await import('./async-cache-dedupe.ts')).openDedupeRedis,
  'cachified, memory': async () => (await import('./cachified.ts')).openCachifiedMemory,
  'cachified, Redis': async () => (await import('./cachified.ts')).openCachifiedRedis,
  'client.get, redcache': async () => (await import('./clients.ts')).openClientSide,
  'client.get, built in': async () => (await import('./clients.ts')).openBuiltIn,
  'client.get': async () => (await import('./clients.ts')).openPlain,
  'GET as text': async () => (await import('./clients.ts')).openText,
  'by hand': async () => (await import('./clients.ts')).openByHand,
} as const satisfies Openers<Cache>;

/** What is measured, each in one manner. */
export type Library = keyof typeof OPENERS;
/** Those that tell other processes what has changed. */
export type TellingLibrary = keyof typeof TELLING;

export async function openCache(library: Library, setting: Setting): Promise<Cache> {
  return (await OPENERS[library]())(setting);
}

export async function openTelling(
  library: TellingLibrary,
  setting: Setting,
): Promise<TellingCache> {
  return (await TELLING[library]())(setting);
}

const LIMITS: ReadonlySet<Library> = new Set(['lru', 'GET as text', 'publish']);
const OURS: ReadonlySet<Library> = new Set([
  ...(['redcache', 'redcache, namespace', 'redcache, family'] as const),
  ...(['client.get, redcache', 'client.get, written elsewhere'] as const),
]);
const TITLES: Readonly<Partial<Record<Library, string>>> = {
  lru: 'a bare lru-cache',
  publish: 'PUBLISH to a subscriber',
  'client.get, written elsewhere': 'client.get, redcache',
};

export const standingOf = (library: Library): Standing => {
  if (LIMITS.has(library)) return 'limit';
  return OURS.has(library) ? 'ours' : 'peer';
};

export const contenderOf = (library: Library): Contender => ({
  name: TITLES[library] ?? library,
  standing: standingOf(library),
});
