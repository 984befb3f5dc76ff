import type { Cache } from '@redcache/cache-aside';
import { createTestCache } from '@redcache/cache-aside/testing';

// what you test: it is given a cache, and does not care which
const profiles = (cache: Cache, database: Map<string, string>) => ({
  find: (id: string) => cache.get(id, async (key) => database.get(key), { grace: '1h' }),
});

await using cache = createTestCache({ ttl: '5m' });
const database = new Map([['42', 'Ada']]);
const { find } = profiles(cache, database);

console.log(await find('42'), cache.stats().loads); // -> Ada 1
database.set('42', 'Grace');
console.log(await find('42')); // -> Ada

await cache.advance('6m'); // it has aged: served once more, and loaded behind
console.log(await find('42')); // -> Ada
await cache.advance(1);
console.log(await find('42')); // -> Grace

await using other = createTestCache({ redis: cache.redis }); // as if in another process
await other.delete('42');
await cache.advance(1); // the push arrives
console.log(cache.peek('42').hit); // -> false

cache.redis.become('away'); // or 'hung'
await cache.advance('1s');
console.log(await find('42'), cache.stats().unavailable); // -> Grace 1
