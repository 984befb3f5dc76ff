import { besideOf } from '@redcache/core/toolkit';
import { createLocks } from '@redcache/locks';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { openClient } from './ground.ts';

const piece = fc.oneof(fc.constantFrom('{', '}', '{}', 'a'), fc.string({ unit: 'grapheme' }));
const anyKey = fc
  .array(piece, { minLength: 1, maxLength: 5 })
  .map((pieces) => pieces.join(''))
  .filter((key) => key !== '');
const anyPrefix = fc.constantFrom('redcache:lock:', '{', '');

test('all keys of a lock are in one slot by the word of Redis, whatever braces they have', async () => {
  await using redis = await startStandalone({ args: ['--cluster-enabled', 'yes'] });
  await redis.node.ask('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
  const client = await openClient(redis.node.url);
  await eventually(async () => (await client.clusterInfo()).includes('cluster_state:ok'));
  const slotOf = (key: string): Promise<unknown> =>
    client.sendCommand(['CLUSTER', 'KEYSLOT', key]) as Promise<unknown>;
  await fc.assert(
    fc.asyncProperty(anyPrefix, anyKey, async (prefix, key) => {
      await using locks = createLocks({ client, prefix });
      await using _held = await locks.acquire(key);
      // What the script has called them: the lock, and the last fencing token beside it.
      const lock = prefix + key;
      const keys = await client.keys('*');
      expect(keys).toHaveLength(2);
      expect(keys).toContain(lock);
      expect(new Set(await Promise.all(keys.map(slotOf))).size).toBe(1);
      const { before, after } = besideOf(lock);
      expect(keys).toContain(`${before}fence${after}`);
      await client.flushAll();
    }),
    { numRuns: 300 },
  );
});
