import { setImmediate as turn } from 'node:timers/promises';
import { trackingOf } from '@redcache/core/node-redis';
import { connectIoredis } from '../connect-ioredis.ts';
import { decoded, encoded, type Setting, type TellingCache } from './cache.ts';
import { connectTracked } from './redcache.ts';

/** The cache under a client; who writes is any client of the same Redis. */
export async function openElsewhere(setting: Setting): Promise<TellingCache> {
  const { url, load, outlivesServer: reconnects } = setting;
  const client = await connectTracked(setting);
  // Of another library, so that what it writes is foreign also to this process.
  const other = await connectIoredis(url, { reconnects });
  const get = async (key: string): Promise<unknown> => {
    let text = await client.get(key);
    if (text === null) await other.set(key, encoded(await load(key)));
    // What was written over another connection is here when the push is, which may take a moment.
    while (text === null) {
      await turn();
      text = await client.get(key);
    }
    return decoded(text);
  };
  return {
    get,
    getMany: (keys) => Promise.all(keys.map(get)),
    invalidate: (key) => other.set(key, encoded('changed')),
    onGone: (key, gone) => {
      const stop = trackingOf(client).onInvalidation(key, () => {
        stop();
        gone();
      });
    },
    destroy: () => {
      client.destroy();
      other.disconnect();
    },
  };
}
