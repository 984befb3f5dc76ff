import { clientSideCache, trackingOf } from '@redcache/core/node-redis';
import { createClient, createClientPool, createCluster, createSentinel } from 'redis';

const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';

const client = createClient({ url, clientSideCache: clientSideCache() });
// Among the pool's own options, which are the second argument.
const pool = createClientPool({ url }, { clientSideCache: clientSideCache() });
const cluster = createCluster({
  rootNodes: [{ url }],
  useReplicas: true,
  clientSideCache: clientSideCache(),
});
const sentinel = createSentinel({
  name: 'mymaster',
  sentinelRootNodes: [{ host: '127.0.0.1', port: 26_379 }],
  clientSideCache: clientSideCache(),
});
console.log(...[client, pool, cluster, sentinel].map((each) => trackingOf(each).stats().state)); // -> down down down down

for (const each of [client, pool]) each.on('error', console.error);
await Promise.all([client.connect(), pool.connect()]);
await client.set('answer', '42');
console.log(await pool.get('answer')); // -> 42
await Promise.all([client.close(), pool.close()]);
