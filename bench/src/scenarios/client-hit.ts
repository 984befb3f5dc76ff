import assert from 'node:assert/strict';
import { clientSideCache, trackingOf } from '@redcache/core/node-redis';
import { LRUCache } from 'lru-cache';
import { do_not_optimize as use } from 'mitata';
import { BasicClientSideCache } from 'redis';
import { type Client, connect } from '../connect.ts';
import type { Stage } from '../harness.ts';
import { removeKeys } from '../remove-keys.ts';
import type { Scenario } from '../scenario.ts';

const KEYS = 128;
/** How often a run goes through all keys. */
const TURNS = 4;
const MAX_ENTRIES = 10_000;
/**
 * A measurement of hits leaves the event loop no turn to hear from the server, so that on a busy
 * machine the connection would count as silent in the middle of it.
 */
const OPTIONS = { maxEntries: MAX_ENTRIES, maxStaleness: false } as const;
const VALUE = 'x'.repeat(100);
const HASH = Object.fromEntries(
  Array.from({ length: 20 }, (_, i) => [`field:${i}`, `value ${i} of some length`]),
);
const LIST = Array.from({ length: 20 }, (_, i) => `element ${i} of some length`);
/** Keys that one `mGet` asks for. */
const GROUP = 10;

const LRU = 'await lru.get(key)';
const OURS = 'redcache';
const FROZEN = "values: 'frozen'";
const BUILT_IN = 'built in';

export const clientHit: Scenario = {
  kind: 'timed',
  name: 'client-hit',
  question: "What does a hit of a client's own methods cost?",
  open: openClient,
};

async function openClient(url: string): Promise<Stage> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const keysOf = (kind: string): string[] =>
    Array.from({ length: KEYS }, (_, i) => `${namespace}:${kind}:${i}`);
  const [strings, hashes, lists] = [keysOf('string'), keysOf('hash'), keysOf('list')];
  const groups = Array.from({ length: Math.floor(KEYS / GROUP) }, (_, group) =>
    strings.slice(group * GROUP, (group + 1) * GROUP),
  );
  const lru = new LRUCache<string, string>({ max: MAX_ENTRIES });
  for (const key of strings) lru.set(key, VALUE);

  const frozenOptions = { ...OPTIONS, values: 'frozen' } as const;
  const builtInCache = new BasicClientSideCache({ maxEntries: MAX_ENTRIES });
  const ours = await connect(url, {
    clientSideCache: clientSideCache(OPTIONS),
  });
  const frozen = await connect(url, { clientSideCache: clientSideCache(frozenOptions) });
  const builtIn = await connect(url, { clientSideCache: builtInCache });
  const clients = [ours, frozen, builtIn];

  for (const key of strings) await builtIn.set(key, VALUE);
  for (const key of hashes) await builtIn.hSet(key, HASH);
  for (const key of lists) await builtIn.rPush(key, LIST);
  const readAll = async (each: Client): Promise<void> => {
    for (const key of strings) checkReply(await each.get(key), VALUE);
    for (const key of hashes) checkReply({ ...(await each.hGetAll(key)) }, HASH);
    for (const key of lists) checkReply(await each.lRange(key, 0, -1), LIST);
    for (const group of groups) checkReply(await each.mGet(group), Array(GROUP).fill(VALUE));
  };
  for (const each of clients) await readAll(each);
  const before = misses();

  const callsPerRun = KEYS * TURNS;
  const groupsPerRun = groups.length * TURNS;
  return {
    subjects: [
      {
        name: LRU,
        standing: 'limit',
        callsPerRun,
        run: async () => {
          for (let i = 0; i < TURNS; i += 1) for (const key of strings) use(await lru.get(key));
        },
      },
      {
        name: `get, ${OURS}`,
        standing: 'ours',
        callsPerRun,
        run: async () => {
          for (let i = 0; i < TURNS; i += 1) for (const key of strings) use(await ours.get(key));
        },
      },
      {
        name: `get, ${FROZEN}`,
        standing: 'ours',
        callsPerRun,
        run: async () => {
          for (let i = 0; i < TURNS; i += 1) for (const key of strings) use(await frozen.get(key));
        },
      },
      {
        name: `get, ${BUILT_IN}`,
        standing: 'peer',
        callsPerRun,
        run: async () => {
          for (let i = 0; i < TURNS; i += 1) for (const key of strings) use(await builtIn.get(key));
        },
      },
      {
        name: `hGetAll, ${OURS}`,
        standing: 'ours',
        callsPerRun,
        run: async () => {
          for (let i = 0; i < TURNS; i += 1) for (const key of hashes) use(await ours.hGetAll(key));
        },
      },
      {
        name: `hGetAll, ${FROZEN}`,
        standing: 'ours',
        callsPerRun,
        run: async () => {
          for (let i = 0; i < TURNS; i += 1)
            for (const key of hashes) use(await frozen.hGetAll(key));
        },
      },
      {
        name: `hGetAll, ${BUILT_IN}`,
        standing: 'peer',
        callsPerRun,
        run: async () => {
          for (let i = 0; i < TURNS; i += 1)
            for (const key of hashes) use(await builtIn.hGetAll(key));
        },
      },
      {
        name: `lRange, ${OURS}`,
        standing: 'ours',
        callsPerRun,
        run: async () => {
          for (let i = 0; i < TURNS; i += 1)
            for (const key of lists) use(await ours.lRange(key, 0, -1));
        },
      },
      {
        name: `lRange, ${FROZEN}`,
        standing: 'ours',
        callsPerRun,
        run: async () => {
          for (let i = 0; i < TURNS; i += 1)
            for (const key of lists) use(await frozen.lRange(key, 0, -1));
        },
      },
      {
        name: `lRange, ${BUILT_IN}`,
        standing: 'peer',
        callsPerRun,
        run: async () => {
          for (let i = 0; i < TURNS; i += 1)
            for (const key of lists) use(await builtIn.lRange(key, 0, -1));
        },
      },
      {
        name: `mGet, ${OURS}`,
        standing: 'ours',
        callsPerRun: groupsPerRun,
        run: async () => {
          for (let i = 0; i < TURNS; i += 1)
            for (const group of groups) use(await ours.mGet(group));
        },
      },
      {
        name: `mGet, ${FROZEN}`,
        standing: 'ours',
        callsPerRun: groupsPerRun,
        run: async () => {
          for (let i = 0; i < TURNS; i += 1)
            for (const group of groups) use(await frozen.mGet(group));
        },
      },
      {
        name: `mGet, ${BUILT_IN}`,
        standing: 'peer',
        callsPerRun: groupsPerRun,
        run: async () => {
          for (let i = 0; i < TURNS; i += 1)
            for (const group of groups) use(await builtIn.mGet(group));
        },
      },
    ],
    goals: [
      { subject: `get, ${OURS}`, of: `get, ${BUILT_IN}`, atMost: 1 / 2 },
      { subject: `hGetAll, ${OURS}`, of: `hGetAll, ${BUILT_IN}`, atMost: 1 / 2.5 },
      { subject: `hGetAll, ${FROZEN}`, of: `hGetAll, ${BUILT_IN}`, atMost: 1 / 4 },
    ],
    check: async () => {
      for (const each of clients) await readAll(each);
      assert.deepEqual(misses(), before, 'every measured call must have been a local hit');
      await checkOwnership();
    },
    [Symbol.asyncDispose]: async () => {
      for (const each of clients) each.destroy();
      await removeKeys(url, namespace);
    },
  };

  /** Throws: unless each caller may change what it got, or nobody may. */
  async function checkOwnership(): Promise<void> {
    const [hash, list] = [hashes[0] as string, lists[0] as string];
    for (const each of [ours, builtIn]) {
      (await each.hGetAll(hash))['field:0'] = 'changed';
      (await each.lRange(list, 0, -1)).pop();
    }
    for (const each of clients) await readAll(each);
    assert(Object.isFrozen(await frozen.hGetAll(hash)));
    assert(Object.isFrozen(await frozen.lRange(list, 0, -1)));
  }

  function misses(): Record<string, number> {
    return {
      ours: trackingOf(ours).stats().misses,
      frozen: trackingOf(frozen).stats().misses,
      builtIn: builtInCache.stats().missCount,
    };
  }
}

const checkReply = (reply: unknown, expected: unknown): void => assert.deepEqual(reply, expected);
