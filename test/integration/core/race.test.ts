import { afterAll, beforeAll, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { otherClient, trackedClient } from './tracked-client.ts';

let redis: StandaloneDeployment;
beforeAll(async () => {
  redis = await startStandalone();
});
afterAll(() => redis.stop());

const BATCH = 500;
const inBatches = <T>(all: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(all.length / BATCH) }, (_, i) =>
    all.slice(i * BATCH, (i + 1) * BATCH),
  );

type Other = Awaited<ReturnType<typeof otherClient>>['client'];

async function truthOf(other: Other, keys: readonly string[]): Promise<(string | null)[]> {
  return (await Promise.all(inBatches(keys).map((batch) => other.mGet(batch)))).flat();
}

const setAll = (other: Other, keys: readonly string[], value: string): Promise<unknown> =>
  Promise.all(
    inBatches(keys).map((batch) =>
      other.mSet(batch.map((key) => [key, value] as [string, string])),
    ),
  );

test('20 000 keys and a racing writer: none stale, and what nobody wrote is here', async () => {
  await using tracked = await trackedClient(redis.url, { maxEntries: 30_000 });
  await using writer = await otherClient(redis.url);
  const { client, engine } = tracked;
  const keys = Array.from({ length: 20_000 }, (_, i) => `race:${i}`);
  const disturbed = keys.filter((_, i) => i % 2 === 0);
  const undisturbed = keys.filter((_, i) => i % 2 === 1);
  await setAll(writer.client, keys, '0');

  for (let round = 1; round <= 3; round += 1)
    for (const batch of inBatches(keys)) {
      const written = batch.filter((_, i) => i % 2 === 0);
      // Each key is read right before, while and right after it is written.
      const reads = Promise.all(batch.map((key) => client.get(key)));
      const writes = Promise.all(written.map((key) => writer.client.set(key, `${round}`)));
      await Promise.all(written.map((key) => client.get(key)));
      await Promise.all([reads, writes]);
      await Promise.all(written.slice(0, 100).map((key) => client.get(key)));
    }
  await tracked.drained();
  const raced = engine.stats();
  expect(raced.refusedFills + raced.evictions.invalidation).toBeGreaterThan(10_000);
  expect(raced.refusedFills).toBeGreaterThan(0);

  const answers = await Promise.all(undisturbed.map((key) => client.get(key)));
  expect(engine.stats().hits - raced.hits).toBeGreaterThanOrEqual(undisturbed.length * 0.99);
  expect(answers).toEqual(await truthOf(writer.client, undisturbed));

  // What is served from here is compared with what the server says; a miss can't be stale.
  const local = engine.stats().entries;
  expect(await Promise.all(disturbed.map((key) => client.get(key)))).toEqual(
    await truthOf(writer.client, disturbed),
  );
  expect(local).toBeGreaterThan(undisturbed.length);
});

test('N4: a FLUSHALL that races with reads: none stale', async () => {
  await using tracked = await trackedClient(redis.url);
  await using writer = await otherClient(redis.url);
  const { client, engine } = tracked;
  const keys = Array.from({ length: 1_000 }, (_, i) => `flush:${i}`);
  for (let round = 0; round < 10; round += 1) {
    await setAll(writer.client, keys, `before ${round}`);
    const reads = Promise.all(keys.map((key) => client.get(key)));
    const flush = writer.client.flushAll();
    const writes = setAll(writer.client, keys, `after ${round}`);
    await Promise.all([reads, flush, writes]);
    await tracked.drained();
    const answers = await Promise.all(keys.map((key) => client.get(key)));
    expect(answers.filter((answer) => answer !== `after ${round}`)).toEqual([]);
  }
  const { flushes, hits } = engine.stats();
  expect(flushes).toBe(10);
  await Promise.all(keys.map((key) => client.get(key)));
  expect(engine.stats().hits - hits).toBe(keys.length);
});

test('a push for an own write comes after its reply and drops what was read before', async () => {
  await using tracked = await trackedClient(redis.url);
  const { client, engine } = tracked;
  for (let i = 0; i < 200; i += 1) {
    await client.get('own');
    await Promise.all([client.set('own', `${i}`), client.get('own')]);
    await tracked.drained();
    expect(await client.get('own')).toBe(`${i}`);
  }
  expect(await client.get('own')).toBe('199');
  expect(engine.stats().hits).toBeGreaterThan(0);
});
