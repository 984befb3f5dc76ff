import { setTimeout as sleep } from 'node:timers/promises';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis';
import { connectIoredis } from '../connect-ioredis.ts';
import type { Setting, TellingCache } from './cache.ts';

const SUBSCRIBED_MS = 500;

/** Memory, Redis, and a bus that tells the other processes of writes. */
export const openBentocache = (setting: Setting): Promise<TellingCache> => open(setting, true);

/** Values are handed out as they are, not decoded with every read. */
export const openUnserialized = (setting: Setting): Promise<TellingCache> => open(setting, false);

async function open(setting: Setting, serialize: boolean): Promise<TellingCache> {
  const { url, namespace, ttlMs, maxEntries, load, outlivesServer: reconnects } = setting;
  const connections = [
    await connectIoredis(url, { reconnects }),
    await connectIoredis(url, { reconnects }),
  ] as const;
  const [store, bus] = connections as unknown as readonly [never, never];
  const bento = new BentoCache({
    default: 'all',
    stores: {
      all: bentostore()
        .useL1Layer(memoryDriver({ maxItems: maxEntries, serialize }))
        .useL2Layer(redisDriver({ connection: store }))
        .useBus(redisBusDriver({ connection: bus })),
    },
    prefix: `${namespace}:bentocache`,
    ttl: ttlMs,
  });
  const waiting = new Map<string, () => void>();
  // Told in the turn in which the copy goes, before anything else can run.
  bento.on('bus:message:received', ({ message }) => {
    if (message.type !== 'delete') return;
    for (const key of message.keys) {
      waiting.get(key)?.();
      waiting.delete(key);
    }
  });
  // It subscribes with its first use, and does not say when it has.
  await bento.get({ key: 'nothing' });
  await sleep(SUBSCRIBED_MS);
  const get = (key: string): Promise<unknown> => bento.getOrSet({ key, factory: () => load(key) });
  return {
    get,
    // It has no way to ask for many.
    getMany: (keys) => Promise.all(keys.map(get)),
    invalidate: (key) => bento.delete({ key }),
    onGone: (key, gone) => {
      waiting.set(key, gone);
    },
    destroy: () => {
      for (const connection of connections) connection.disconnect();
    },
  };
}
