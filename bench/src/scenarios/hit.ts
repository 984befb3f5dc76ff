import assert from 'node:assert/strict';
import { createCache } from '@redcache/cache-aside';
import { clientSideCache, trackingOf } from '@redcache/core/node-redis';
import { LRUCache } from 'lru-cache';
import { do_not_optimize as use } from 'mitata';
import { BasicClientSideCache, createClient } from 'redis';
import type { Stage } from '../harness.ts';
import { removeKeys } from '../remove-keys.ts';
import type { Scenario } from '../scenario.ts';

const KEYS = 128;
/** How often a run goes through all keys. */
const TURNS = 16;
const VALUE = 'x'.repeat(100);
/**
 * A measurement of hits leaves the event loop no turn to hear from the server, so that on a busy
 * machine the connection would count as silent in the middle of it.
 */
const OPTIONS = { maxStaleness: false } as const;

const LRU = 'await lru.get(key)';
const GET = 'await cache.get(key, loader)';
const FAMILY = 'await family.get(id)';
const BUILT_IN = 'await client.get(key), built in';

export const hit: Scenario = {
  kind: 'timed',
  name: 'hit',
  question: 'What does a value cost that is in this process already? (string of 100 bytes)',
  open: openHit,
};

async function openHit(url: string): Promise<Stage> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const numbers = Array.from({ length: KEYS }, (_, i) => i);
  /** Of the cache; the clients have others, since they would not read a cache's values as theirs. */
  const keys = numbers.map((i) => `${namespace}:value:${i}`);
  const plainKeys = numbers.map((i) => `${namespace}:plain:${i}`);
  const shortKeys = numbers.map((i) => `short:${i}`);
  const loader = (): string => VALUE;

  const lru = new LRUCache<string, string>({ max: 10_000 });
  const builtInCache = new BasicClientSideCache();
  const client = createClient({ url, clientSideCache: clientSideCache(OPTIONS) });
  const builtIn = createClient({ url, clientSideCache: builtInCache });
  const clients = [client, builtIn];
  for (const each of clients) {
    each.on('error', () => {});
    await each.connect();
  }
  const cache = createCache({ client });
  const namespaced = createCache({ client, namespace });
  for (const key of keys) lru.set(key, VALUE);
  for (const key of keys) await cache.get(key, loader);
  for (const key of shortKeys) await namespaced.get(key, loader);
  const family = namespaced.define({ name: 'family', load: (_: number) => VALUE });
  for (const i of numbers) await family.get(i);
  for (const key of plainKeys) await client.set(key, VALUE);
  for (const key of plainKeys) for (const each of clients) await each.get(key);
  const before = notHits();

  const callsPerRun = KEYS * TURNS;
  // biome-ignore-start format: one line for each loop
  return {
    subjects: [
      {
        name: LRU,
        standing: 'limit',
        callsPerRun,
        run: async () => {
          for (let i = 0; i < TURNS; i += 1) for (const key of keys) use(await lru.get(key));
        },
      },
      {
        name: 'cache.peek(key)',
        standing: 'ours',
        callsPerRun,
        run: () => {
          for (let i = 0; i < TURNS; i += 1) for (const key of keys) use(cache.peek(key));
        },
      },
      {
        name: GET,
        standing: 'ours',
        callsPerRun,
        run: async () => {
          for (let i = 0; i < TURNS; i += 1)
            for (const key of keys) use(await cache.get(key, loader));
        },
      },
      {
        name: `${GET}, namespace`,
        standing: 'ours',
        callsPerRun,
        run: async () => {
          for (let i = 0; i < TURNS; i += 1)
            for (const key of shortKeys) use(await namespaced.get(key, loader));
        },
      },
      {
        name: FAMILY,
        standing: 'ours',
        callsPerRun,
        run: async () => {
          for (let i = 0; i < TURNS; i += 1) for (const id of numbers) use(await family.get(id));
        },
      },
      {
        name: 'await client.get(key), redcache',
        standing: 'ours',
        callsPerRun,
        run: async () => {
          for (let i = 0; i < TURNS; i += 1)
            for (const key of plainKeys) use(await client.get(key));
        },
      },
      {
        name: BUILT_IN,
        standing: 'peer',
        callsPerRun,
        run: async () => {
          for (let i = 0; i < TURNS; i += 1)
            for (const key of plainKeys) use(await builtIn.get(key));
        },
      },
    ],
    // biome-ignore-end format: one line for each loop
    goals: [
      { subject: GET, of: LRU, atMost: 2.5 },
      { subject: FAMILY, of: LRU, atMost: 2.5 },
      { subject: GET, of: BUILT_IN, atMost: 0.2 },
    ],
    check: async () => {
      assert.deepEqual(notHits(), before, 'every measured call must have been a local hit');
      for (const key of keys) assert.equal(await cache.get(key, loader), VALUE);
      for (const key of shortKeys) assert.equal(await namespaced.get(key, loader), VALUE);
      for (const id of numbers) assert.equal(await family.get(id), VALUE);
      for (const key of plainKeys)
        for (const each of clients) assert.equal(await each.get(key), VALUE);
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([cache.close(), namespaced.close()]);
      for (const each of clients) each.destroy();
      await removeKeys(url, namespace);
    },
  };

  /** What stays as it is as long as all is answered from this process. */
  function notHits(): Record<string, number> {
    const [aside, underNamespace] = [cache.stats(), namespaced.stats()];
    return {
      loads: aside.loads + underNamespace.loads,
      redisHits: aside.redisHits + underNamespace.redisHits,
      misses: trackingOf(client).stats().misses,
      builtInMisses: builtInCache.stats().missCount,
    };
  }
}
