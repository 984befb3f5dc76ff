import { setTimeout as sleep } from 'node:timers/promises';
import { sourceOf } from '../caches/cache.ts';
import { type Library, openCache } from '../caches/libraries.ts';
import { nowMs } from '../now.ts';
import type { Work } from '../roles.ts';

export interface StampederTask {
  /**
   * `cold`: nobody has the value. `expiring`: all have it, and go on asking for it until it has come
   * to its end and is there anew.
   */
  readonly is: 'cold' | 'expiring';
  readonly key: string;
  readonly callers: number;
  /** When all processes begin, on the clock of the machine. */
  readonly atMs: number;
}

export interface StampederAnswer {
  /** When this process began to load, each time, on the clock of the machine. */
  readonly loadsAtMs: readonly number[];
  /** When the last of its callers had the value. */
  readonly doneAtMs: number;
}

/** How long the source takes. */
export const LOAD_MS = 100;
/** How long a value lives that is to come to its end meanwhile. */
const TTL_MS = 1_000;
/** Who has only old values by then has them for good, and gives up: it counts as that long. */
export const GIVEN_UP_MS = 5_000;
/** How often a caller asks for a value that is hot. */
const PACE_MS = 10;

/** Callers who all want one value at a time; arguments: {@link Library}, URL, namespace. */
export async function stampederRole(...args: string[]): Promise<Work> {
  const [library, url, namespace] = args as [Library, string, string];
  let loadsAtMs: number[] = [];
  const source = sourceOf(async (key) => {
    const atMs = nowMs();
    loadsAtMs.push(atMs);
    await sleep(LOAD_MS);
    return { id: key, atMs };
  });
  const bounds = { ttlMs: TTL_MS, maxEntries: 10_000, outlivesServer: false };
  const cache = await openCache(library, { url, namespace, ...bounds, ...source });
  // Connections, scripts and what belongs to no key are known to a service that runs.
  await cache.get(`${namespace}:warm`);

  return async (given) => {
    const { is, key, callers, atMs } = given as StampederTask;
    if (is === 'expiring') await cache.get(key);
    loadsAtMs = [];
    await sleep(atMs - nowMs());
    const beganMs = nowMs();
    const call = async (): Promise<void> => {
      for (;;) {
        const value = (await cache.get(key)) as { readonly atMs: number };
        if (is === 'cold' || value.atMs >= beganMs || nowMs() - beganMs >= GIVEN_UP_MS) return;
        await sleep(PACE_MS);
      }
    };
    await Promise.all(Array.from({ length: callers }, call));
    return { loadsAtMs, doneAtMs: nowMs() } satisfies StampederAnswer;
  };
}
