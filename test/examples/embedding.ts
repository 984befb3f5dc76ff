import { subscribe } from 'node:diagnostics_channel';
import { attach, createTrackingCache } from '@redcache/core';
import { NetPort } from '../integration/embedding/net-port.ts'; // yours: a TrackingPort

const { hostname, port } = new URL(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379');
const client = new NetPort({ host: hostname, port: Number(port) });
const cache = createTrackingCache({ maxEntries: 1_000 });

const tracking = new Promise<void>((resolve) => {
  subscribe('redcache:connection', (message) => {
    if ((message as { state: string }).state === 'tracking') resolve();
  });
});
const { detach } = attach(cache, client, { maxStaleness: '2s' });
await tracking; // reads need not wait for it: until then they ask Redis and keep nothing

const get = (key: string): Promise<unknown> =>
  cache.read(
    [key],
    `GET ${key}`,
    async () => {
      // In this order, with nothing awaited in between: a change behind the GET is pushed.
      const sent = [client.send(['GET', key]), client.send(['PTTL', key])];
      const [value, ttlMs] = await Promise.all(sent);
      if (ttlMs === -2 && value !== null) return { value, cache: 'uncacheable' }; // it expired
      const remaining = Number(ttlMs) < 0 ? 'none' : Number(ttlMs);
      if (value === null) return { value, cache: { kind: 'negative', remaining, valueBytes: 0 } };
      const valueBytes = Buffer.byteLength(String(value));
      return { value, cache: { kind: 'present', remaining, valueBytes } };
    },
    { rest: 'GET' },
  );

/** A write through the same process: nobody here may see the old value once it has been answered. */
async function set(key: string, value: string): Promise<void> {
  const fence = cache.fence([key]);
  try {
    await client.send(['SET', key, value]);
  } finally {
    fence.settle();
  }
}

await set('greeting', 'hello');
console.log(await get('greeting'), await get('greeting')); // -> hello hello
await set('greeting', 'good morning'); // or anybody else, anywhere
console.log(await get('greeting')); // -> good morning

detach();
cache.close();
client.close();
