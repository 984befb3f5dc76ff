import { setTimeout as sleep } from 'node:timers/promises';
import { sourceOf, type TellingCache } from '../caches/cache.ts';
import { openTelling, type TellingLibrary } from '../caches/libraries.ts';
import { openGround } from '../ground.ts';
import type { Work } from '../roles.ts';

export type TroubledTask =
  /** Answers for each way how long the call of a new key took, and the next one. */
  | { readonly is: 'settle'; readonly trouble: Trouble }
  /** Answers for each way which part of the answers after so many races was stale. */
  | { readonly is: 'race'; readonly races: number };
export type Trouble = 'hung' | 'killed';

/** What has not settled by then is given up, and counts as that long. */
export const GIVEN_UP_MS = 5000;
const LOAD_MS = 20;
/** After that a message of any bus is there. */
const HEARD_MS = 50;

/** What the source has, for any key, and how long it takes to say so. */
const source = { value: 1, loadMs: 0 };

/** Goes through trouble; arguments: URL, namespace, and the libraries that do. It ends with its process. */
export async function troubledRole(...args: string[]): Promise<Work> {
  const [url, namespace, ...libraries] = args as [string, string, ...TellingLibrary[]];
  const load = async (): Promise<unknown> => {
    const { value, loadMs } = source;
    if (loadMs > 0) await sleep(loadMs);
    return value;
  };
  const bounds = { ttlMs: 600_000, maxEntries: 10_000, outlivesServer: true };
  const openAll: OpenAll = (at) =>
    Promise.all(
      libraries.map(async (library) => ({
        cache: await openTelling(library, { url: at, namespace, ...bounds, ...sourceOf(load) }),
        keyOf: (name) => `${namespace}:${library}:${name}`,
      })),
    );
  return async (given) => {
    const task = given as TroubledTask;
    if (task.is === 'settle') return settle(task.trouble, openAll);
    return race(task.races, await openAll(url), await openAll(url));
  };
}

interface Troubled {
  readonly cache: TellingCache;
  readonly keyOf: (name: string) => string;
}
type OpenAll = (url: string) => Promise<readonly Troubled[]>;

/** On a server of its own. */
async function settle(trouble: Trouble, openAll: OpenAll): Promise<readonly (readonly number[])[]> {
  await using ground = await openGround({ mustBeOwn: true });
  const all = await openAll(ground.url);
  // Whatever is done once is done.
  await Promise.all(all.map(({ cache, keyOf }) => cache.get(keyOf('warm'))));
  await (trouble === 'hung' ? ground.pause() : ground.kill());
  try {
    // All at once: they wait, which disturbs nobody.
    return await Promise.all(
      all.map(async ({ cache, keyOf }) => [
        await timeToSettle(cache, keyOf('first')),
        await timeToSettle(cache, keyOf('next')),
      ]),
    );
  } finally {
    for (const { cache } of all) cache.destroy();
    await ground.resume();
  }
}

/** Until it has answered or thrown. */
async function timeToSettle(cache: TellingCache, key: string): Promise<number> {
  const beginMs = performance.now();
  const over = new AbortController();
  const asked = async (): Promise<unknown> => cache.get(key);
  await Promise.race([
    asked().catch(() => undefined),
    sleep(GIVEN_UP_MS, undefined, { signal: over.signal }).catch(() => undefined),
  ]);
  over.abort();
  return Math.min(GIVEN_UP_MS, performance.now() - beginMs);
}

/** `loading` and `telling`: as if in two processes. */
async function race(
  races: number,
  loading: readonly Troubled[],
  telling: readonly Troubled[],
): Promise<readonly number[]> {
  const shares: number[] = [];
  for (const [place, { cache, keyOf }] of loading.entries()) {
    let stale = 0;
    for (let i = 0; i < races; i += 1)
      stale += await staleAfter(cache, (telling[place] as Troubled).cache, keyOf(`race:${i}`));
    shares.push(stale / (2 * races));
  }
  for (const { cache } of [...loading, ...telling]) cache.destroy();
  return shares;
}

/**
 * The source changes while one process loads, and the other says so to all. Afterwards either is
 * asked again. Answers how many of the two answers are what the source was before.
 */
async function staleAfter(
  loading: TellingCache,
  telling: TellingCache,
  key: string,
): Promise<number> {
  source.value = 1;
  source.loadMs = LOAD_MS;
  const first = loading.get(key);
  await sleep(LOAD_MS / 2);
  source.value = 2;
  source.loadMs = 0;
  await telling.invalidate(key);
  await first;
  await sleep(HEARD_MS);
  const answers = [await loading.get(key), await telling.get(key)];
  return answers.filter((answer) => answer !== source.value).length;
}
