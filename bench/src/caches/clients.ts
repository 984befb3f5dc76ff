import { BasicClientSideCache } from 'redis';
import { type Client, connect, UNTIMED } from '../connect.ts';
import { type Cache, decoded, encoded, type Setting } from './cache.ts';
import { connectTracked } from './redcache.ts';

/** The client by itself: each value is fetched, and decoded. */
export async function openPlain(setting: Setting): Promise<Cache> {
  return reading(await connect(setting.url), setting);
}

/**
 * The limit of what Redis can give: text as it is, without the timer that node-redis has for each
 * command, which costs more than the rest.
 */
export async function openText(setting: Setting): Promise<Cache> {
  const client = await connect(setting.url, { commandOptions: UNTIMED });
  return {
    ...reading(client, setting),
    get: (key) => client.get(key),
    getMany: (keys) => client.mGet(keys),
  };
}

/** What is written without a library, in two minutes: nothing is kept here, nobody is kept from loading. */
export async function openByHand(setting: Setting): Promise<Cache> {
  const { url, load, loadMany, ttlMs } = setting;
  const client = await connect(url, { commandOptions: UNTIMED });
  const set = (key: string, value: unknown) => client.set(key, encoded(value), { PX: ttlMs });
  return {
    get: async (key) => {
      const text = await client.get(key);
      if (text !== null) return decoded(text);
      const value = await load(key);
      await set(key, value);
      return value;
    },
    getMany: async (keys) => {
      const texts = await client.mGet(keys);
      const missing = keys.filter((_, i) => texts[i] === null);
      if (missing.length === 0) return texts.map(decoded);
      const loaded = await loadMany(missing);
      await Promise.all(Array.from(loaded, ([key, value]) => set(key, value)));
      return keys.map((key, i) => loaded.get(key) ?? decoded(texts[i] ?? null));
    },
  };
}

/** The client's own methods, answered by redcache. */
export async function openClientSide(setting: Setting): Promise<Cache> {
  return reading(await connectTracked(setting), setting);
}

/** Answered by what node-redis brings along. */
export async function openBuiltIn(setting: Setting): Promise<Cache> {
  const { url, maxEntries } = setting;
  const cache = new BasicClientSideCache({ maxEntries });
  return reading(await connect(url, { clientSideCache: cache }), setting);
}

/** What is asked of a client by itself is decoded with every read. */
function reading(client: Client, { ttlMs }: Setting): Cache {
  return {
    get: (key) => client.get(key).then(decoded),
    getMany: async (keys) => (await client.mGet(keys)).map(decoded),
    put: (key, value) => client.set(key, encoded(value), { PX: ttlMs }),
  };
}
