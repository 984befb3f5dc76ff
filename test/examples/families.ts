import { createCache } from '@redcache/cache-aside';
import { clientSideCache } from '@redcache/core/node-redis';
import { createClient } from 'redis';

const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';
const client = createClient({ url, clientSideCache: clientSideCache() });
client.on('error', console.error);
await client.connect();
const cache = createCache({ client, namespace: 'families' });

const rows = new Map([
  [1, { name: 'Ada' }],
  [2, { name: 'Grace' }],
]); // your database

const users = cache.define({
  name: 'user', // its keys are user:1, user:2, …
  ttl: '10m',
  load: async (id: number) => rows.get(id),
  loadMany: async (ids: number[]) => new Map(ids.map((id) => [id, rows.get(id)])),
});

console.log((await users.get(1))?.name); // -> Ada
const found = await users.getMany([1, 2, 3]); // loads 2 and 3 by one call
console.log(found.size, found.get(2)?.name); // -> 2 Grace

rows.set(1, { name: 'Ada Lovelace' });
await users.delete(1); // every process drops its copy
console.log((await users.get(1))?.name, users.stats().loads); // -> Ada Lovelace 4

await users.deleteMany([1, 2, 3]);
await cache.close();
await client.close();
