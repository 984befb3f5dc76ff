import assert from 'node:assert/strict';
import { do_not_optimize as use } from 'mitata';
import { type Cache, sourceOf } from '../caches/cache.ts';
import { type Library, openCache } from '../caches/libraries.ts';
import { type CallCost, measureCalls } from '../call-cost.ts';
import { PAYLOADS, type Payload } from '../payloads.ts';
import type { Work } from '../roles.ts';
import { ServerProbe } from '../server-probe.ts';

/** `get`: awaited. `peek`: without a promise. */
export type Call = 'get' | 'peek';

export interface HitterTask {
  readonly payload: Payload;
  readonly forMs: number;
}

const KEYS = 64;
/** How often a run goes through all keys at the most … */
const MOST_TURNS = 32;
/** … and how long it has to take at least, to be timed by itself. */
const RUN_MS = 0.25;
/** So often more than that asks Redis is no hit. A connection is asked whether it stands meanwhile. */
const MOST_COMMANDS = 1 / 100;
/** So many values are looked at after each measurement. */
const LOOKED_AT = 8;

/**
 * Asks for values that are here already; arguments: {@link Library}, {@link Call}, whether it is here
 * ('local') or in Redis, URL, namespace. In a process by itself, so that V8 compiles the loop for this
 * library alone.
 */
export async function hitterRole(...args: string[]): Promise<Work> {
  const [library, call, place, url, namespace] = args as [Library, Call, string, string, string];
  const probe = await ServerProbe.open(url);
  let loads = 0;
  const values = new Map<string, unknown>();
  const source = sourceOf(async (key) => {
    loads += 1;
    return values.get(key);
  });
  const bounds = { ttlMs: 3_600_000, maxEntries: 10_000, outlivesServer: false };
  const cache = await openCache(library, { url, namespace, ...bounds, ...source });
  const targets = new Map<Payload, { readonly keys: readonly string[]; readonly turns: number }>();
  for (const [payload, make] of Object.entries(PAYLOADS)) {
    const keys = Array.from({ length: KEYS }, (_, i) => `${namespace}:${library}:${payload}:${i}`);
    for (const key of keys) {
      values.set(key, make(key));
      await cache.put?.(key, make(key));
    }
    const once = call === 'peek' ? peeking(cache, keys, 1) : getting(cache, keys, 1);
    // Once more, in case the first was not kept.
    for (let turn = 0; turn < 2; turn += 1) for (const key of keys) await cache.get(key);
    const turns = await turnsOf(once);
    targets.set(payload as Payload, { keys, turns });
  }
  const loadedBefore = loads;

  return async (task) => {
    const { payload, forMs } = task as HitterTask;
    const { keys, turns } = targets.get(payload) as { keys: readonly string[]; turns: number };
    const run = call === 'peek' ? peeking(cache, keys, turns) : getting(cache, keys, turns);
    const before = await probe.figure('stats', 'total_commands_processed');
    const { calls, ...cost } = await measureCalls(run, KEYS * turns, forMs);
    const asked = (await probe.figure('stats', 'total_commands_processed')) - before;
    assert.equal(loads, loadedBefore, `${library}: every call must have been a hit`);
    if (place === 'local')
      assert(asked <= calls * MOST_COMMANDS, `${library} asked Redis ${asked} × in ${calls} calls`);
    for (const key of keys.slice(0, LOOKED_AT))
      assert.deepEqual(await cache.get(key), values.get(key));
    return cost satisfies CallCost;
  };
}

/** How often a run goes through all keys, so that those that ask slowly are not asked for seconds. */
async function turnsOf(once: () => unknown): Promise<number> {
  let fastestMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 3; i += 1) {
    const beginMs = performance.now();
    await once();
    fastestMs = Math.min(fastestMs, performance.now() - beginMs);
  }
  return Math.min(MOST_TURNS, Math.ceil(RUN_MS / fastestMs));
}

function getting(cache: Cache, keys: readonly string[], turns: number): () => Promise<void> {
  return async () => {
    for (let i = 0; i < turns; i += 1) for (const key of keys) use(await cache.get(key));
  };
}

function peeking({ peek }: Cache, keys: readonly string[], turns: number): () => void {
  if (peek === undefined) throw new Error('it can only be asked with a promise');
  return () => {
    for (let i = 0; i < turns; i += 1) for (const key of keys) use(peek(key));
  };
}
