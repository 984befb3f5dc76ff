import { type Aside, type AsideName, openAside } from '../asides/aside.ts';
import { nowMs } from '../now.ts';
import type { Work } from '../roles.ts';

export type HolderTask =
  /** Takes a copy of the key. Answers when it is there, and its end will be seen. */
  | { readonly is: 'hold'; readonly aside: AsideName; readonly key: string }
  /** Tells all processes that it has changed. Answers when it began to. */
  | { readonly is: 'invalidate'; readonly aside: AsideName; readonly key: string }
  /** Answers when the copy ended, on the clock of the machine. */
  | { readonly is: 'end' };

/** Who hears nothing for that long will hear nothing. */
const LONGEST_MS = 10_000;

/** Holds copies; arguments: URL, namespace, and the ways to hold them. */
export async function holderRole(...args: string[]): Promise<Work> {
  const [url, namespace, ...names] = args as [string, string, ...AsideName[]];
  const asides = new Map<AsideName, Aside>();
  for (const name of names) asides.set(name, await openAside(name, url, namespace));
  let endedAtMs: Promise<number> | undefined;

  return async (given) => {
    const task = given as HolderTask;
    if (task.is === 'end') return endedAtMs;
    const aside = asides.get(task.aside) as Aside;
    if (task.is === 'invalidate') {
      const beginMs = nowMs();
      await aside.invalidate(task.key);
      return beginMs;
    }
    await aside.get(task.key, () => 1);
    endedAtMs = new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        reject(new Error(`${task.aside}: a copy is still there ${LONGEST_MS} ms after its end`));
      }, LONGEST_MS);
      aside.onGone?.(task.key, () => {
        clearTimeout(late);
        resolve(nowMs());
      });
    });
    return undefined;
  };
}
