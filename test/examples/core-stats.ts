import { clientSideCache, trackingOf } from '@redcache/core/node-redis';
import { createClient } from 'redis';

const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';
const client = createClient({
  url,
  clientSideCache: clientSideCache({ maxEntries: 10_000, ttl: '5m' }),
});
client.on('error', console.error);
await client.connect();

await client.hSet('user:42', { name: 'Ada' });
await client.hGetAll('user:42'); // asks Redis
const user = await client.hGetAll('user:42'); // answered by this process
const { hits, misses, entries } = trackingOf(client).stats();
console.log(user.name, { hits, misses, entries }); // -> Ada { hits: 1, misses: 1, entries: 1 }

await client.hSet('user:42', { name: 'Grace' }); // whoever does this, anywhere
console.log((await client.hGetAll('user:42')).name); // -> Grace
await client.close();
