import { createCache } from '@redcache/cache-aside';
import { clientSideCache } from '@redcache/core/node-redis';
import { createClient } from 'redis';

const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';
const client = createClient({ url, clientSideCache: clientSideCache() });
client.on('error', console.error);
await client.connect();
const cache = createCache({ client, namespace: 'readme', ttl: '10m' });

const stock = new Map([['stock:1', 5]]); // your database
const sell = (key: string): number => {
  const left = (stock.get(key) ?? 0) - 1;
  if (left < 0) throw new Error('sold out');
  stock.set(key, left);
  return left;
};

// One writer of a key runs at a time, in whatever process.
await Promise.all(Array.from({ length: 5 }, () => cache.write('stock:1', sell)));
console.log(await cache.get('stock:1')); // -> 0
await cache.write('stock:1', sell).catch(({ message }) => console.log(message)); // -> sold out
console.log(cache.peek('stock:1')); // -> { hit: true, value: 0 }

await cache.delete('stock:1');
await cache.close();
await client.close();
