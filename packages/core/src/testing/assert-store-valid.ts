import type { TrackingCache } from '../tracking-cache.ts';

/**
 * Throws if the engine contradicts itself: an entry a push would not reach, an index of keys that
 * nothing depends on (I12), or entries held without a tracked connection (T2).
 */
export function assertStoreValid(cache: TrackingCache): void {
  const { store } = cache.internals;
  const problems: string[] = [];
  const indexed = new Set<string>();
  let entries = 0;
  for (const [id, entry] of store) {
    entries += 1;
    for (const key of entry.keys) {
      if (key === id) continue;
      indexed.add(key);
      if (!store.dependentsOf(key).includes(id)) problems.push(`${id} is not found by ${key}`);
    }
  }
  if (entries !== store.entries) problems.push(`${entries} entries, ${store.entries} counted`);
  if (indexed.size !== store.indexedKeys)
    problems.push(`${store.indexedKeys} keys indexed, ${indexed.size} in use`);
  if (cache.state !== 'tracking' && entries > 0)
    problems.push(`${entries} entries while ${cache.state}`);
  if (problems.length > 0) throw new Error(`the store is invalid: ${problems.join('; ')}`);
}

/** Throws if anything is still under way: for a test whose calls have all settled. */
export function assertIdle(cache: TrackingCache): void {
  const { guards, hub, flights } = cache.internals;
  const left = {
    guards: guards.size,
    fencedKeys: guards.fencedKeys,
    listenedKeys: hub.listenedKeys,
    flights: flights.size,
  };
  if (Object.values(left).some((count) => count > 0))
    throw new Error(`not idle: ${JSON.stringify(left)}`);
}
