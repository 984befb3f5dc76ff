// Callers who join a read that is under way are answered what it found, which must be no older than what
// a hit may be.

import { createCache } from '@redcache/cache-aside';
import { clientSideCache, trackingOf } from '@redcache/core/node-redis';
import { createClient } from 'redis';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { TcpProxy } from '../../support/proxy.ts';
import { loader, newKey, openCache } from './local-cache.ts';

let server: StandaloneDeployment;
beforeAll(async () => {
  server = await startStandalone();
});
afterAll(() => server.stop());

const MAX_STALENESS_MS = 1_000;

/** A cache behind a proxy, and one that always reaches Redis. */
async function open() {
  const proxy = await TcpProxy.start(server.node);
  const client = createClient({
    url: proxy.url,
    clientSideCache: clientSideCache({ maxStaleness: MAX_STALENESS_MS }),
    socket: { reconnectStrategy: 20 },
  });
  client.on('error', () => {});
  await client.connect();
  const cache = createCache({ client, timeout: { redis: '10s' } });
  onTestFinished(async () => {
    await cache.close();
    client.destroy();
    await proxy.close();
  });
  const { cache: other } = await openCache(server.url);
  return { proxy, cache, engine: trackingOf(client), other };
}

test('a load that began while Redis was away is not joined once it is back', async () => {
  const { proxy, cache, engine, other } = await open();
  const key = newKey();
  proxy.cut({ refuse: true });
  await eventually(() => engine.state !== 'tracking');
  const [before, after] = [loader(), loader()];
  const early = [cache.get(key, before.load, { timeout: { hard: '1m' } })];
  await eventually(() => before.runs.length === 1, Boolean, { deadlineMs: 30_000 });
  early.push(cache.get(key, before.load));
  proxy.heal();
  await eventually(() => engine.state === 'tracking');
  // Nobody has told this process: it was away, or it is just as it was.
  await other.set(key, 'new');
  expect(await cache.get(key, after.load)).toBe('new');
  before.runs[0]?.answer('old');
  expect(await Promise.all(early)).toEqual(['old', 'old']);
  expect(before.runs.length).toBe(1);
  expect(await cache.get(key)).toBe('new');
});

test('a read whose connection was not heard for too long is not joined', async () => {
  const { proxy, cache, other } = await open();
  const key = newKey();
  await other.set(key, 'old');
  const { forwarded } = proxy.bytes('toServer');
  proxy.stall('toClient');
  const early = [cache.get(key)];
  await eventually(() => proxy.bytes('toServer').forwarded > forwarded);
  // Behind that GET on the same server, so it has been answered by then.
  await eventually(() => proxy.bytes('toClient').received > proxy.bytes('toClient').forwarded);
  await other.set(key, 'new');
  early.push(cache.get(key));
  proxy.resume('toClient');
  // As a process that is stopped: whoever runs first afterwards has not read what has come meanwhile.
  const untilMs = performance.now() + 1.5 * MAX_STALENESS_MS;
  while (performance.now() < untilMs);
  expect(await cache.get(key)).toBe('new');
  const answers = await Promise.all(early);
  for (const answer of answers) expect(['old', 'new']).toContain(answer);
});
