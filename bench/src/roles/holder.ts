import { sourceOf, type TellingCache } from '../caches/cache.ts';
import { openTelling, type TellingLibrary } from '../caches/libraries.ts';
import { nowMs } from '../now.ts';
import type { Work } from '../roles.ts';

export type HolderTask =
  /** Takes a copy of the key. Answers when it is there, and its end will be seen. */
  | { readonly is: 'hold'; readonly library: TellingLibrary; readonly key: string }
  /** Tells all processes that it has changed. Answers when it began to. */
  | { readonly is: 'invalidate'; readonly library: TellingLibrary; readonly key: string }
  /** Answers when the copy ended, on the clock of the machine. */
  | { readonly is: 'end' };

/** Who hears nothing for that long will hear nothing. */
const LONGEST_MS = 10_000;

/** Holds copies; arguments: URL, namespace, and the libraries that hold them. */
export async function holderRole(...args: string[]): Promise<Work> {
  const [url, namespace, ...libraries] = args as [string, string, ...TellingLibrary[]];
  const source = sourceOf(async () => 1);
  const bounds = { ttlMs: 600_000, maxEntries: 10_000, outlivesServer: true };
  const caches = new Map<TellingLibrary, TellingCache>();
  for (const library of libraries)
    caches.set(library, await openTelling(library, { url, namespace, ...bounds, ...source }));
  let endedAtMs: Promise<number> | undefined;

  return async (given) => {
    const task = given as HolderTask;
    if (task.is === 'end') return endedAtMs;
    const cache = caches.get(task.library) as TellingCache;
    const key = `${namespace}:${task.library}:${task.key}`;
    if (task.is === 'invalidate') {
      const beginMs = nowMs();
      await cache.invalidate(key);
      return beginMs;
    }
    await cache.get(key);
    endedAtMs = new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        reject(new Error(`${task.library}: a copy is still there ${LONGEST_MS} ms after its end`));
      }, LONGEST_MS);
      cache.onGone?.(key, () => {
        clearTimeout(late);
        resolve(nowMs());
      });
    });
    return undefined;
  };
}
