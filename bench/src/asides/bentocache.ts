import { setTimeout as sleep } from 'node:timers/promises';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis';
import type { Aside } from './aside.ts';
import { connectIoredis } from './clients.ts';

const SUBSCRIBED_MS = 500;

/** Memory, Redis, and a bus that tells the other processes of writes. */
export async function openBentocache(url: string, namespace: string): Promise<Aside> {
  const [store, bus] = [await connectIoredis(url), await connectIoredis(url)];
  const bento = new BentoCache({
    default: 'all',
    prefix: `${namespace}:bentocache`,
    stores: {
      all: bentostore()
        .useL1Layer(memoryDriver())
        .useL2Layer(redisDriver({ connection: store as never }))
        .useBus(redisBusDriver({ connection: bus as never })),
    },
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
  return {
    get: (key, load) => bento.getOrSet({ key, factory: load }),
    invalidate: (key) => bento.delete({ key }),
    onGone: (key, gone) => {
      waiting.set(key, gone);
    },
    destroy: () => {
      store.disconnect();
      bus.disconnect();
    },
  };
}
