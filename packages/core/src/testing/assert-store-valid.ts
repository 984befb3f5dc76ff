import type { TrackingCache } from '../tracking-cache.ts';

/**
 * Throws if the engine contradicts itself: an entry a push would not reach, an index of keys that
 * nothing depends on (I12), or counts that are not those of what is held (T2).
 */
export function assertStoreValid(cache: TrackingCache): void {
  const { store } = cache.internals;
  const problems: string[] = [];
  const indexed = new Set<string>();
  let entries = 0;
  let suspects = 0;
  let bytes = 0;
  for (const entry of store) {
    bytes += entry.bytes;
    if (!entry.source.lost) entries += 1;
    if (entry.source.suspect) suspects += 1;
    if (entry.source.suspect && !entry.source.lost)
      problems.push(`${entry.key} is suspect and of use`);
    const found =
      entry.keys === undefined ? store.find(entry.key, entry.rest) : store.findReply(entry.key);
    if (found !== entry) problems.push(`${entry.key} ${entry.rest} is not found`);
    for (const key of entry.keys ?? []) {
      indexed.add(key);
      if (!store.dependentsOf(key).includes(entry))
        problems.push(`${entry.key} is not found by ${key}`);
    }
  }
  if (entries !== store.entries) problems.push(`${entries} entries, ${store.entries} counted`);
  if (suspects !== store.suspects) problems.push(`${suspects} suspects, ${store.suspects} counted`);
  if (bytes !== store.bytes) problems.push(`${bytes} bytes, ${store.bytes} counted`);
  if (indexed.size !== store.indexedKeys)
    problems.push(`${store.indexedKeys} keys indexed, ${indexed.size} in use`);
  if (cache.stats().connections === 0 && entries > 0)
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
