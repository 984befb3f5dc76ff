import { createCache } from '@redcache/cache-aside';
import { clientSideCache } from '@redcache/core/node-redis';
import { createClient } from 'redis';

const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';
const client = createClient({ url, clientSideCache: clientSideCache() });
client.on('error', console.error);
await client.connect();
const cache = createCache({ client, namespace: 'readme', ttl: '10m' });

const users = new Map([['user:42', { name: 'Ada' }]]);
const load = async (key: string) => users.get(key); // your database

console.log((await cache.get('user:42', load))?.name); // -> Ada
console.log(cache.peek('user:42').hit, await cache.get('user:7', load)); // -> true undefined

users.set('user:42', { name: 'Grace' });
await cache.delete('user:42'); // every process drops its copy
const found = await cache.getMany(['user:42', 'user:7'], async () => users);
console.log(found.size, found.get('user:42')?.name); // -> 1 Grace

await cache.deleteMany(['user:42', 'user:7']);
await cache.close();
await client.close();
