import { createCache } from '@redcache/cache-aside';
import { clientSideCache } from '@redcache/core/node-redis';
import { createClient } from 'redis';

const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';
const client = createClient({ url, clientSideCache: clientSideCache() });
client.on('error', console.error);
await client.connect();
const cache = createCache({ client, namespace: 'freshness', ttl: '1m', grace: '6h' });

let isDown = false; // your database
const load = async () => {
  if (isDown) throw new Error('no database');
  return { price: 5 };
};

await cache.get('price:1', load);
isDown = true;
await cache.expire('price:1'); // as after a minute
console.log(await cache.get('price:1', load)); // -> { price: 5 }
const { source, remainingMs } = await cache.getEntry('price:1', load);
console.log(source, remainingMs, cache.stats().staleHits); // -> local 0 2

await cache.delete('price:1'); // what is deleted is served by nobody, whatever the grace
await cache.get('price:1', load).catch(({ message }) => console.log(message)); // -> no database

await cache.close();
await client.close();
