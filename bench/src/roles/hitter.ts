import assert from 'node:assert/strict';
import { measure, do_not_optimize as use } from 'mitata';
import type { Cache } from '../caches/cache.ts';
import { type Library, openCache } from '../caches/libraries.ts';
import { PAYLOADS, type Payload } from '../payloads.ts';
import type { Work } from '../roles.ts';
import { ServerProbe } from '../server-probe.ts';

/** `get`: awaited. `peek`: without a promise. */
export type Call = 'get' | 'peek';

export interface HitterTask {
  readonly payload: Payload;
  readonly forMs: number;
}

/** Nanoseconds a call. */
export type HitterAnswer = number;

const KEYS = 128;
/** How often a run goes through all keys. */
const TURNS = 16;
/** So often more than that asks Redis is no hit. A connection is asked whether it stands meanwhile. */
const MOST_COMMANDS = 1 / 100;

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
  const load = async (key: string): Promise<unknown> => {
    loads += 1;
    return values.get(key);
  };
  const loadMany = async (keys: readonly string[]): Promise<Map<string, unknown>> => {
    loads += keys.length;
    return new Map(keys.map((key) => [key, values.get(key)]));
  };
  const source = { load, loadMany };
  const cache = await openCache(library, {
    ...{ url, namespace, ttlMs: 3_600_000, maxEntries: 10_000 },
    ...source,
  });
  const keysOf = new Map<Payload, readonly string[]>();
  for (const [payload, make] of Object.entries(PAYLOADS)) {
    const keys = Array.from({ length: KEYS }, (_, i) => `${namespace}:${library}:${payload}:${i}`);
    for (const key of keys) {
      values.set(key, make(key));
      await cache.put?.(key, make(key));
    }
    // Once more, in case the first was not kept.
    for (let turn = 0; turn < 2; turn += 1) for (const key of keys) await cache.get(key);
    keysOf.set(payload as Payload, keys);
  }
  const loadedBefore = loads;

  return async (task) => {
    const { payload, forMs } = task as HitterTask;
    const keys = keysOf.get(payload) as readonly string[];
    const run = call === 'peek' ? peeking(cache, keys) : getting(cache, keys);
    globalThis.gc?.();
    const before = await probe.figure('stats', 'total_commands_processed');
    // A run is long enough to be timed by itself: no batches of the library's own.
    const { p50, samples } = await measure(run, { min_cpu_time: forMs * 1e6, batch_threshold: 0 });
    const asked = (await probe.figure('stats', 'total_commands_processed')) - before;
    const calls = samples.length * KEYS * TURNS;
    assert.equal(loads, loadedBefore, `${library}: every call must have been a hit`);
    if (place === 'local')
      assert(asked <= calls * MOST_COMMANDS, `${library} asked Redis ${asked} × in ${calls} calls`);
    for (const key of keys) assert.deepEqual(await cache.get(key), values.get(key));
    return p50 / (KEYS * TURNS);
  };
}

function getting(cache: Cache, keys: readonly string[]): () => Promise<void> {
  return async () => {
    for (let i = 0; i < TURNS; i += 1) for (const key of keys) use(await cache.get(key));
  };
}

function peeking({ peek }: Cache, keys: readonly string[]): () => void {
  if (peek === undefined) throw new Error('it can only be asked with a promise');
  return () => {
    for (let i = 0; i < TURNS; i += 1) for (const key of keys) use(peek(key));
  };
}
