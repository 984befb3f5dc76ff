// What is loaded while its key changes reaches its caller and is not stored (I8); whoever asks later
// does not get it (I1).
import { expect, test } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { type LocalCache, loader, newKey, openCache } from './local-cache.ts';

type Change = (key: string, here: LocalCache, other: LocalCache) => Promise<unknown>;
const changes: [string, Change, unknown][] = [
  ['a delete here', (key, { cache }) => cache.delete(key), undefined],
  ['a delete elsewhere', (key, _, { cache }) => cache.delete(key), undefined],
  ['deleteMany elsewhere', (key, _, { cache }) => cache.deleteMany([key, 'x']), undefined],
  ['a set here', (key, { cache }) => cache.set(key, 'set'), 'set'],
  ['a set elsewhere', (key, _, { cache }) => cache.set(key, 'set'), 'set'],
  ['FLUSHALL', (_, __, { client }) => client.flushAll(), undefined],
  ['the end of its connection', (_, { client }, other) => kill(client, other), undefined],
];

/** Together with what stood under all keys, as a failover might. */
async function kill(client: LocalCache['client'], other: LocalCache): Promise<void> {
  const id = String(await client.sendCommand(['CLIENT', 'ID']));
  const { client: redis } = other;
  await redis.multi().addCommand(['CLIENT', 'KILL', 'ID', id]).flushAll().exec();
  await eventually(() => client.ping());
}

test.each(changes)('%s while a loader runs', async (_, change, expected) => {
  await using server = await startStandalone();
  const options = { timeout: { redis: '5s' } } as const;
  const [here, other] = [
    await openCache(server.url, options),
    await openCache(server.url, options),
  ];
  const { cache, client } = here;
  const key = newKey();
  const { load, runs } = loader();
  const old = cache.get(key, load);
  await eventually(() => runs.length === 1);
  await change(key, here, other);
  // The loader is told as soon as the loss is known.
  await eventually(() => runs[0]?.signal.aborted);
  let fresh: Promise<unknown> | undefined;
  if (expected === undefined) {
    // Somebody who asks now does not join: a second load begins before the first ends.
    fresh = cache.get(key, load);
    await eventually(() => runs.length === 2);
  }
  runs[0]?.answer('old');
  expect(await old).toBe('old');
  expect(cache.peek(key)).toEqual({ hit: false });
  expect(await client.get(key)).not.toContain('old');
  runs[1]?.answer('fresh');
  if (fresh) expect(await fresh).toBe('fresh');
  for (const each of [here, other])
    expect(await each.cache.get(key, () => 'not asked')).toBe(expected ?? 'fresh');
  expect(cache.stats().lostLeases).toBe(1);
});

test('a key that is written by somebody who knows nothing of leases is not overwritten', async () => {
  await using server = await startStandalone();
  const { cache, client } = await openCache(server.url);
  const { load, runs } = loader();
  const loaded = cache.get('k', load);
  await eventually(() => runs.length === 1);
  await server.node.ask('SET', 'k', 'foreign');
  runs[0]?.answer('ours');
  expect(await loaded).toBe('ours');
  expect(await client.get('k')).toBe('foreign');
  expect(cache.peek('k')).toEqual({ hit: false });
});
