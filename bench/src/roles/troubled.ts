import { setTimeout as sleep } from 'node:timers/promises';
import { type Aside, type AsideName, type Load, openAside } from '../asides/aside.ts';
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

/** Goes through trouble; arguments: URL, namespace, and the ways that do. It ends with its process. */
export async function troubledRole(...args: string[]): Promise<Work> {
  const [url, namespace, ...names] = args as [string, string, ...AsideName[]];
  const openAll = (at: string): Promise<readonly Aside[]> =>
    Promise.all(names.map((name) => openAside(name, at, namespace)));
  return async (given) => {
    const task = given as TroubledTask;
    if (task.is === 'settle') return settle(task.trouble, openAll);
    return race(task.races, await openAll(url), await openAll(url));
  };
}

/** On a server of its own. */
async function settle(
  trouble: Trouble,
  openAll: (url: string) => Promise<readonly Aside[]>,
): Promise<readonly (readonly number[])[]> {
  await using ground = await openGround({ mustBeOwn: true });
  const asides = await openAll(ground.url);
  // Whatever is done once is done.
  await Promise.all(asides.map((aside) => aside.get('warm', () => 1)));
  await (trouble === 'hung' ? ground.pause() : ground.kill());
  try {
    // All at once: they wait, which disturbs nobody.
    return await Promise.all(
      asides.map(async (aside) => [
        await timeToSettle(aside, 'first'),
        await timeToSettle(aside, 'next'),
      ]),
    );
  } finally {
    for (const aside of asides) aside.destroy();
    await ground.resume();
  }
}

/** Until it has answered or thrown. */
async function timeToSettle(aside: Aside, key: string): Promise<number> {
  const beginMs = performance.now();
  const over = new AbortController();
  await Promise.race([
    aside
      .get(key, () => 1)
      .then(
        () => undefined,
        () => undefined,
      ),
    sleep(GIVEN_UP_MS, undefined, { signal: over.signal }).catch(() => undefined),
  ]);
  over.abort();
  return Math.min(GIVEN_UP_MS, performance.now() - beginMs);
}

/** `loading` and `telling`: as if in two processes. */
async function race(
  races: number,
  loading: readonly Aside[],
  telling: readonly Aside[],
): Promise<readonly number[]> {
  const shares: number[] = [];
  for (const [place, one] of loading.entries()) {
    let stale = 0;
    for (let i = 0; i < races; i += 1)
      stale += await staleAfter(one, telling[place] as Aside, `race:${i}`);
    shares.push(stale / (2 * races));
  }
  for (const aside of [...loading, ...telling]) aside.destroy();
  return shares;
}

/**
 * The source changes while one process loads, and the other says so to all. Afterwards either is
 * asked again. Answers how many of the two answers are what the source was before.
 */
async function staleAfter(loading: Aside, telling: Aside, key: string): Promise<number> {
  let source = 1;
  const slow: Load = async () => {
    const read = source;
    await sleep(LOAD_MS);
    return read;
  };
  const first = loading.get(key, slow);
  await sleep(LOAD_MS / 2);
  source = 2;
  await telling.invalidate(key);
  await first;
  await sleep(HEARD_MS);
  const answers = [await loading.get(key, () => source), await telling.get(key, () => source)];
  return answers.filter((answer) => Number(answer) !== source).length;
}
