// Reads far more keys than it may keep, and says what that does to its heap; ends when all is closed.
import { createTrackingCache } from '@redcache/core';
import { clientSideCache, trackingOf } from '@redcache/core/node-redis';
import { createClient } from 'redis';
import { serve } from '../support/child.ts';

interface Growth {
  readonly heapGrowthBytes: number;
  readonly misses: number;
  readonly entries: number;
}

const BATCH = 500;

function heapBytes(): number {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error('this child needs --expose-gc');
  for (let i = 0; i < 4; i += 1) gc();
  return process.memoryUsage().heapUsed;
}

/** Reads in batches: first a few to warm up, then all, and compares the heap after each. */
async function growth(
  keys: number,
  read: (key: string) => Promise<unknown>,
  stats: () => { readonly misses: number; readonly entries: number },
): Promise<Growth> {
  const readAll = async (prefix: string, count: number): Promise<void> => {
    for (let at = 0; at < count; at += BATCH)
      await Promise.all(Array.from({ length: BATCH }, (_, i) => read(`${prefix}:${at + i}`)));
  };
  await readAll('warm', 20_000);
  const { misses } = stats();
  const beforeBytes = heapBytes();
  await readAll('key', keys);
  const heapGrowthBytes = heapBytes() - beforeBytes;
  return { heapGrowthBytes, misses: stats().misses - misses, entries: stats().entries };
}

async function connected(url: string, maxEntries: number) {
  const client = createClient({
    url,
    RESP: 3,
    clientSideCache: clientSideCache({ maxEntries }),
    // Its timer for each command would take longer than the command.
    commandOptions: { timeout: 0 },
  });
  client.on('error', () => {});
  await client.connect();
  return client;
}

export const handlers = {
  readThroughClient: async (url: string, keys: number, maxEntries: number): Promise<Growth> => {
    const client = await connected(url, maxEntries);
    const engine = trackingOf(client);
    try {
      return await growth(
        keys,
        (key) => client.get(key),
        () => engine.stats(),
      );
    } finally {
      client.destroy();
    }
  },
  readThroughEngine: (keys: number, maxEntries: number): Promise<Growth> => {
    const engine = createTrackingCache({ maxEntries });
    engine.session.dispatch({ is: 'connected' });
    return growth(
      keys,
      (key) =>
        engine.read([key], `GET ${key}`, async () => ({
          value: key,
          cache: { kind: 'present', remaining: 'none', valueBytes: key.length },
        })),
      () => engine.stats(),
    );
  },
  /** Uses all there is, closes it, and lets go of the parent. What is left keeps this process up. */
  closeAll: async (url: string): Promise<number> => {
    const client = await connected(url, 10);
    const engine = trackingOf(client);
    engine.onInvalidation('closing', () => {});
    await Promise.all([client.get('closing'), client.get('closing'), client.hGetAll('other')]);
    await client.set('closing', 'value');
    engine.fence(['closing']);
    const { entries } = engine.stats();
    await client.close();
    engine.close();
    setImmediate(() => process.channel?.unref());
    return entries;
  },
};

serve(handlers);
