import { RESP_TYPES } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { otherClient, trackedClient } from './tracked-client.ts';

let redis: StandaloneDeployment;
beforeAll(async () => {
  redis = await startStandalone();
});
afterAll(() => redis.stop());

type Client = Awaited<ReturnType<typeof trackedClient>>['client'];
type Other = Awaited<ReturnType<typeof otherClient>>['client'];

const MAX_BYTES = 1_000_000;
const VALUE_BYTES = 150_000;
const part = 'x'.repeat(VALUE_BYTES / 10);
/** Ten that are all different, as a set wants them. */
const parts = Array.from({ length: 10 }, (_, i) => `${i}${part}`);

const BYTES = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };

type Write = (other: Other, key: string) => Promise<unknown>;
type Read = (client: Client, key: string) => Promise<unknown>;

/** A write that makes a reply of {@link VALUE_BYTES}, and the read that gets it. */
const REPLIES: Record<string, [write: Write, read: Read, commandOptions?: object]> = {
  'a string': [(other, key) => other.set(key, parts.join('')), (client, key) => client.get(key)],
  'a string as a Buffer': [
    (other, key) => other.set(key, parts.join('')),
    (client, key) => client.get(key),
    BYTES,
  ],
  'a hash': [
    (other, key) => other.hSet(key, Object.fromEntries(parts.entries())),
    (client, key) => client.hGetAll(key),
  ],
  'a hash of Buffers': [
    (other, key) => other.hSet(key, Object.fromEntries(parts.entries())),
    (client, key) => client.hGetAll(key),
    BYTES,
  ],
  'a list': [(other, key) => other.rPush(key, parts), (client, key) => client.lRange(key, 0, -1)],
  'a set': [(other, key) => other.sAdd(key, parts), (client, key) => client.sMembers(key)],
  'a sorted set with its scores': [
    (other, key) =>
      other.zAdd(
        key,
        parts.map((value, score) => ({ value, score })),
      ),
    (client, key) => client.zRangeWithScores(key, 0, -1),
  ],
};

describe.for(['copy', 'frozen'] as const)('maxBytes, with values: %s', (values) => {
  for (const [name, [write, read, commandOptions]] of Object.entries(REPLIES))
    test(`counts ${name} with all that is in it, and so bounds how many are kept`, async () => {
      await using tracked = await trackedClient(
        redis.url,
        { maxBytes: MAX_BYTES, values },
        { ...(commandOptions && { commandOptions }) },
      );
      await using other = await otherClient(redis.url);
      const { client, engine } = tracked;
      for (let i = 0; i < 12; i += 1) {
        const key = `${values}:${name}:${i}`;
        await write(other.client, key);
        const { bytes } = engine.stats();
        await read(client, key);
        if (i === 0) expect(engine.stats().bytes - bytes).toBeGreaterThanOrEqual(VALUE_BYTES);
      }
      const { entries, bytes, evictions } = engine.stats();
      expect(entries).toBe(Math.floor(MAX_BYTES / VALUE_BYTES));
      expect(evictions.bytes).toBe(12 - entries);
      expect(bytes).toBeGreaterThanOrEqual(entries * VALUE_BYTES);
      expect(bytes).toBeLessThanOrEqual(MAX_BYTES);
    });
});

test('maxBytes counts each key of a reply of many, however small it is', async () => {
  await using tracked = await trackedClient(redis.url, { maxBytes: 200_000 });
  const { client, engine } = tracked;
  const keysOf = (reply: number): string[] =>
    Array.from({ length: 300 }, (_, i) => `${reply}:${i}`);
  const before = engine.stats().bytes;
  for (let i = 0; i < 10; i += 1) {
    expect(await client.exists(keysOf(i))).toBe(0);
    if (i === 0) expect(engine.stats().bytes - before).toBeGreaterThan(300 * 200);
  }
  expect(engine.stats().entries).toBeLessThanOrEqual(3);
  // The last of them is here.
  const { hits } = engine.stats();
  await client.exists(keysOf(9));
  expect(engine.stats().hits).toBe(hits + 1);
});
