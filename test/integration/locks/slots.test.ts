import { createLocks, type OneDeployment } from '@redcache/locks';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { openClient } from './ground.ts';

/** The lock and keys beside it, from what is sent for it. */
async function keysOf(prefix: string, key: string): Promise<string[]> {
  const sent: string[][] = [];
  const client = {
    isReady: true,
    sendCommand: async (args: string[]) => {
      sent.push(args);
      return [0, 1_000];
    },
    duplicate: () => client,
    select: async () => 'OK',
    on: () => client,
    off: () => client,
  } as unknown as OneDeployment['client'];
  const locks = createLocks({ client, prefix });
  await locks.tryAcquire(key);
  await locks.close();
  const [[, , , lock = '', , , before = '', after = ''] = []] = sent;
  return [lock, ...['fence', 'queue', 'turn'].map((name) => before + name + after)];
}

const piece = fc.oneof(fc.constantFrom('{', '}', '{}', 'a'), fc.string({ unit: 'grapheme' }));
const anyKey = fc
  .array(piece, { minLength: 1, maxLength: 5 })
  .map((pieces) => pieces.join(''))
  .filter((key) => key !== '');
const anyPrefix = fc.constantFrom('redcache:lock:', '{', '');

test('all keys of a lock are in one slot by the word of Redis, whatever braces they have', async () => {
  await using redis = await startStandalone({ args: ['--cluster-enabled', 'yes'] });
  const client = await openClient(redis.url);
  const slotOf = (key: string): Promise<unknown> =>
    client.sendCommand(['CLUSTER', 'KEYSLOT', key]) as Promise<unknown>;
  await fc.assert(
    fc.asyncProperty(anyPrefix, anyKey, async (prefix, key) => {
      const [lock = '', ...beside] = await keysOf(prefix, key);
      expect(lock).toBe(`${prefix}${key}`);
      expect(beside).not.toContain(lock);
      const slots = await Promise.all([lock, ...beside].map(slotOf));
      expect(new Set(slots).size).toBe(1);
    }),
    { numRuns: 500 },
  );
});
