import { clientSideCache } from '@redcache/core/node-redis';
import { createLocks } from '@redcache/locks';
import { createClient } from 'redis';

const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';
const client = createClient({ url, clientSideCache: clientSideCache() });
client.on('error', console.error);
await client.connect();
await using locks = createLocks({ client });

const lock = await locks.acquire('invoice:42', { lease: '10s' });
const next = locks.withLock('invoice:42', { wait: '30s' }, async ({ fencingToken, signal }) => {
  signal.throwIfAborted(); // aborted the moment the lock is lost
  return fencingToken > lock.fencingToken; // let the database refuse lower ones
});
console.log(await locks.tryAcquire('invoice:42')); // -> null
console.log(await lock.release(), await next); // -> released true

await locks.close();
await client.close();
