import { createCache } from '@redcache/cache-aside';
import { clientSideCache } from '@redcache/core/node-redis';
import { createClient } from 'redis';

const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';
const client = createClient({ url, clientSideCache: clientSideCache() });
client.on('error', console.error);
await client.connect();
const cache = createCache({ client, namespace: 'tags', ttl: '1h' });

let loads = 0;
const load = async (key: string) => {
  loads += 1;
  return { key, brand: 'acme' };
};
const tags = (value: { brand: string }) => ['products', `brand:${value.brand}`];

await cache.get('product:1', load, { tags });
await cache.get('product:2', load, { tags });
await cache.invalidateTag('brand:acme'); // both, in every process
await cache.get('product:1', load, { tags });
console.log(loads); // -> 3

await cache.clear(); // everything of this namespace
console.log(await cache.get('product:1')); // -> undefined
await cache.close();
await client.close();
