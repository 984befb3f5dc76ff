import { connect, UNTIMED } from '../connect.ts';
import type { Aside } from './aside.ts';

/** The least that a bus has to do: a message to a channel that everyone hears. It keeps nothing. */
export async function openPublish(url: string, namespace: string): Promise<Aside> {
  const channel = `${namespace}:publish`;
  const publisher = await connect(url, { commandOptions: UNTIMED });
  const subscriber = await connect(url, { commandOptions: UNTIMED });
  const waiting = new Map<string, () => void>();
  await subscriber.subscribe(channel, (key) => {
    waiting.get(key)?.();
    waiting.delete(key);
  });
  return {
    get: async (_, load) => load(),
    invalidate: (key) => publisher.publish(channel, key),
    onGone: (key, gone) => {
      waiting.set(key, gone);
    },
    destroy: () => {
      publisher.destroy();
      subscriber.destroy();
    },
  };
}
