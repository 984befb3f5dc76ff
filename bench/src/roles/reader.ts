import assert from 'node:assert/strict';
import { clientSideCache } from '@redcache/core/node-redis';
import { BasicClientSideCache } from 'redis';
import { type Client, connect, UNTIMED } from '../connect.ts';
import { type LoadCost, measureLoad } from '../load.ts';
import type { Work } from '../roles.ts';
import { ServerProbe } from '../server-probe.ts';

/** What a process reads with. `pttl`: what a miss must send, by the shortest way, and nothing kept. */
export type Reading = 'plain' | 'pttl' | 'redcache' | 'built in';
/** The timeout of its commands: node-redis's own, or none. */
export type Timeout = 'default' | 'none';

/** Reads every key once; answers what a read cost. */
export type ReaderTask = 'read';
export type ReaderAnswer = LoadCost;

const CONCURRENCY = 50;
/** Far fewer than keys, which are read in order: none is still there when its turn comes again. */
const MAX_ENTRIES = 1000;

interface Reader {
  readonly client: Client;
  readonly read: (key: string) => Promise<unknown>;
  /** How often it had to ask the server; not for what asks always. */
  readonly misses?: () => number;
}

/** Reads keys that are not in its process; arguments: {@link Reading}, {@link Timeout}, URL, namespace, keys. */
export async function readerRole(...args: string[]): Promise<Work> {
  const [reading, timeout, url, namespace] = args as [Reading, Timeout, string, string];
  const keys = Array.from({ length: Number(args[4]) }, (_, i) => `${namespace}:${i}`);
  const probe = await ServerProbe.open(url);
  const { client, read, misses } = await readerOf(reading, timeout, url);
  await warmUp(read, keys);
  return async () => {
    // Whatever the server has pushed comes before the answer to this.
    await client.ping();
    const before = misses?.() ?? 0;
    const cost = await measureLoad(
      {
        calls: keys.length,
        concurrency: CONCURRENCY,
        call: (place) => read(keys[place] as string),
      },
      probe,
    );
    if (misses !== undefined)
      assert.equal(misses() - before, keys.length, `every read of ${reading} must be a miss`);
    return cost;
  };
}

/**
 * Few at a time, as a service begins. V8 decides in its first milliseconds which objects live long:
 * a burst of 50 pairs of commands is all that there is then, and it takes all of them for lasting.
 */
async function warmUp(
  read: (key: string) => Promise<unknown>,
  keys: readonly string[],
): Promise<void> {
  const [reads, atOnce] = [5_000, 4];
  for (let i = 0; i < reads; i += atOnce)
    await Promise.all(
      Array.from({ length: atOnce }, (_, at) => read(keys[(i + at) % keys.length] as string)),
    );
}

async function readerOf(reading: Reading, timeout: Timeout, url: string): Promise<Reader> {
  const config = timeout === 'none' ? { commandOptions: UNTIMED } : {};
  const get = (client: Client) => (key: string) => client.get(key);
  switch (reading) {
    case 'plain': {
      const client = await connect(url, config);
      return { client, read: get(client) };
    }
    case 'pttl': {
      const client = await connect(url, config);
      const read = (key: string): Promise<unknown> =>
        Promise.all([client.get(key), client.sendCommand(['PTTL', key], UNTIMED)]);
      return { client, read };
    }
    case 'redcache': {
      const cache = clientSideCache({ maxEntries: MAX_ENTRIES });
      const client = await connect(url, { ...config, clientSideCache: cache });
      return { client, read: get(client), misses: () => cache.engine.stats().misses };
    }
    case 'built in': {
      const cache = new BasicClientSideCache({ maxEntries: MAX_ENTRIES });
      const client = await connect(url, { ...config, clientSideCache: cache });
      return { client, read: get(client), misses: () => cache.stats().missCount };
    }
  }
}
