import assert from 'node:assert/strict';
import { type Cache, sourceOf } from '../caches/cache.ts';
import { type Library, openCache } from '../caches/libraries.ts';
import { type LoadCost, measureLoad } from '../load.ts';
import { PAYLOADS } from '../payloads.ts';
import type { Work } from '../roles.ts';
import { ServerProbe } from '../server-probe.ts';

export interface FetcherTask {
  /**
   * Where the values are that a call asks for: in Redis but not in this process; nowhere; or one each,
   * in turn, of these two. `local`: in this process.
   */
  readonly from: 'local' | 'redis' | 'nowhere' | 'half';
  /** Values that one call asks for; 0: one, by itself. */
  readonly many: number;
  readonly calls: number;
  readonly concurrency: number;
}

export type FetcherAnswer = LoadCost;

const KEYS = 2_000;
/** Far fewer than keys, which are read in order: none is still there when its turn comes again. */
const MAX_ENTRIES = 500;
/** Those at their beginning are put into the process where values are to be there. */
const LOCAL_KEYS = 200;
/** So much of what is here is found in Redis at the most; a connection may be asked whether it stands. */
const MOST_FOUND = 1 / 100;
const make = PAYLOADS['object of 20 fields'];

/** Reads through a cache, and loads; arguments: {@link Library}, URL, namespace. */
export async function fetcherRole(...args: string[]): Promise<Work> {
  const [library, url, namespace] = args as [Library, string, string];
  const probe = await ServerProbe.open(url);
  let loads = 0;
  const source = sourceOf(async (key) => {
    loads += 1;
    return make(key);
  });
  const bounds = { ttlMs: 3_600_000, maxEntries: MAX_ENTRIES, outlivesServer: false };
  const cache = await openCache(library, { url, namespace, ...bounds, ...source });
  const keys = Array.from({ length: KEYS }, (_, i) => `${namespace}:${i}`);
  await fill(cache, keys);
  const local = keys.slice(0, LOCAL_KEYS);
  const others = Array.from({ length: MAX_ENTRIES }, (_, i) => `${namespace}:other:${i}`);
  let last: FetcherTask['from'] | undefined;
  let next = 0;
  let fresh = 0;
  const stored = (): string => keys[next++ % KEYS] as string;
  const unknown = (): string => `${namespace}:new:${fresh++}`;
  const NAMES: Readonly<Record<FetcherTask['from'], (place: number) => string>> = {
    local: (place) => local[place % LOCAL_KEYS] as string,
    redis: stored,
    nowhere: unknown,
    half: (place) => (place % 2 === 0 ? stored() : unknown()),
  };

  return async (task) => {
    const { from, many, calls, concurrency } = task as FetcherTask;
    const name = NAMES[from];
    // Not all let go of what is here for what they ask Redis for, so that something else has to come.
    if (from === 'local') await fill(cache, local);
    else if (last !== from) await fill(cache, others);
    last = from;
    const loadsBefore = loads;
    const foundBefore = await probe.figure('stats', 'keyspace_hits');
    const call =
      many === 0
        ? async (place: number) => cache.get(name(place))
        : (place: number) => cache.getMany(Array.from({ length: many }, (_, i) => name(place + i)));
    const cost = await measureLoad({ calls, concurrency, call }, probe);
    const asked = calls * Math.max(many, 1);
    const expected = { local: 0, redis: 0, half: asked / 2, nowhere: asked }[from];
    assert.equal(
      loads - loadsBefore,
      cache.put === undefined ? expected : 0,
      `loads of ${library}`,
    );
    const found = (await probe.figure('stats', 'keyspace_hits')) - foundBefore;
    if (from === 'redis')
      assert(found >= asked, `${library} asked Redis for ${found} of ${asked} values alone`);
    if (from === 'local')
      assert(found <= asked * MOST_FOUND, `${library} asked Redis for ${found} of ${asked} values`);
    return cost;
  };
}

/** Few at a time, as a service begins: V8 decides in its first milliseconds what lives long. */
async function fill(cache: Cache, keys: readonly string[]): Promise<void> {
  const atOnce = 4;
  for (let i = 0; i < keys.length; i += atOnce)
    await Promise.all(
      keys.slice(i, i + atOnce).map(async (key) => {
        await cache.put?.(key, make(key));
        // Once more, in case the first was not kept.
        for (let turn = 0; turn < 2; turn += 1) await cache.get(key);
      }),
    );
}
