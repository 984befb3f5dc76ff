import { attach, createTrackingCache } from '@redcache/core';
import { FakeClient } from '@redcache/core/testing';

const port = new FakeClient(); // yours: { send(args), onPush(listener), onConnection(listener) }
const cache = createTrackingCache({ maxEntries: 1_000 });
const { detach } = attach(cache, port);
await port.connect();

const read = (key: string) =>
  cache.read([key], `GET ${key}`, async () => {
    const [value, ttlMs] = await Promise.all([port.send(['GET', key]), port.send(['PTTL', key])]);
    if (typeof value !== 'string' || typeof ttlMs !== 'number' || ttlMs === -2)
      return { value, cache: 'uncacheable' };
    const remaining = ttlMs === -1 ? 'none' : ttlMs;
    return { value, cache: { kind: 'present', remaining, valueBytes: Buffer.byteLength(value) } };
  });

const reading = read('greeting');
port.next('GET').reply('hello');
port.next('PTTL').reply(-1);
console.log(await reading, await read('greeting')); // -> hello hello

port.push('greeting'); // Redis says that it changed
console.log(cache.stats().entries); // -> 0
detach();
