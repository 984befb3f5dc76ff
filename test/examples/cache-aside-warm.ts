import { createCache } from '@redcache/cache-aside';
import { clientSideCache } from '@redcache/core/node-redis';
import { createClient } from 'redis';

const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';
const client = createClient({ url, clientSideCache: clientSideCache() });
client.on('error', console.error);
await client.connect();
const cache = createCache({ client, namespace: 'warm', ttl: '1h' });

// your database: a cursor over its ids, and a query for some of them
async function* ids() {
  for (let id = 1; id <= 250; id += 1) yield `product:${id}`;
}
const load = async (keys: string[]) => new Map(keys.map((key) => [key, { name: key }]));

const first = await cache.warm(ids(), load, {
  concurrency: 4,
  batchSize: 50,
  total: 250,
  onProgress: ({ done, total }) => process.stdout.write(`${done} of ${total}\r`),
});
console.log(first.loaded, first.skipped, first.lastKey); // -> 250 0 product:250

const again = await cache.warm(ids(), load);
console.log(again.loaded, again.skipped); // -> 0 250

for await (const key of ids()) await cache.delete(key);
await cache.close();
await client.close();
