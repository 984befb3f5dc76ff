import { clientSideCache } from '@redcache/core/node-redis';
import { createLocks } from '@redcache/locks';
import { createClient } from 'redis';

const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';
const client = createClient({ url, clientSideCache: clientSideCache() });
client.on('error', console.error);
await client.connect();
await using locks = createLocks({ client });

const mailers = locks.semaphore('mail', 2); // two at once, over all processes
const [one, two] = await Promise.all([mailers.acquire(), mailers.acquire()]);
console.log(await mailers.tryAcquire()); // -> null
await one.release();
await mailers.withLock({ wait: '30s' }, ({ signal }) => signal.throwIfAborted());
await two.release();

const report = locks.readWrite('report:7'); // any number reads, or one writes
const reader = await report.read();
const writing = report.withWrite(({ fencingToken }) => fencingToken > reader.fencingToken);
console.log((await report.inspect()).holders.map(({ access }) => access)); // -> [ 'read' ]
await reader.release();
console.log(await writing); // -> true

await locks.close();
await client.close();
