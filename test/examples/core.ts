import { clientSideCache, trackingOf } from '@redcache/core/node-redis';
import { createClient } from 'redis';

const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';
const client = createClient({ url, clientSideCache: clientSideCache({ maxEntries: 10_000 }) });
client.on('error', console.error);
await client.connect();
const elsewhere = createClient({ url });
await elsewhere.connect();

await elsewhere.set('greeting', 'hello');
await client.get('greeting'); // asks Redis
console.log(await client.get('greeting'), trackingOf(client).stats().hits); // -> hello 1

const pushed = new Promise((resolve) => {
  trackingOf(client).onInvalidation('greeting', resolve);
});
await elsewhere.set('greeting', 'good evening');
console.log(await pushed, await client.get('greeting')); // -> push good evening

await Promise.all([client.close(), elsewhere.close()]);
