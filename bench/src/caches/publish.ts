import { connect, UNTIMED } from '../connect.ts';
import type { Setting, TellingCache } from './cache.ts';

/** The least that a bus has to do: a message to a channel that everyone hears. It keeps nothing. */
export async function openPublish(setting: Setting): Promise<TellingCache> {
  const { url, namespace, load, loadMany, outlivesServer: reconnects } = setting;
  const channel = `${namespace}:publish`;
  const publisher = await connect(url, { commandOptions: UNTIMED, reconnects });
  const subscriber = await connect(url, { commandOptions: UNTIMED, reconnects });
  const waiting = new Map<string, () => void>();
  await subscriber.subscribe(channel, (key) => {
    waiting.get(key)?.();
    waiting.delete(key);
  });
  return {
    get: load,
    getMany: loadMany,
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
