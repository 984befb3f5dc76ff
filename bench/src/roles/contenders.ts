import { setTimeout as sleep } from 'node:timers/promises';
import { HandOvers } from '../hand-overs.ts';
import { type Library, type Locker, openLocker, type Pace } from '../lockers/locker.ts';
import type { Work } from '../roles.ts';

/**
 * All of them want one lock, and each holds it once. They come by chance while the first has it:
 * those who poll must not do so in step.
 */
export interface ContendersTask {
  readonly contenders: number;
  readonly holdMs: number;
}
/** How long each hand-over took, in milliseconds. */
export type ContendersAnswer = readonly number[];

/**
 * Contenders with a connection each, as if each were a process: they are in one so that all times
 * are of one clock. Arguments: {@link Library}, {@link Pace}, URL, namespace, contenders at most.
 */
export async function contendersRole(...args: string[]): Promise<Work> {
  const [library, pace, url, namespace] = args as [Library, Pace, string, string];
  const lockers: Locker[] = [];
  for (let i = 0; i < Number(args[4]); i += 1) lockers.push(await openLocker(library, pace, url));
  const key = `${namespace}:handed-over`;

  return async (task) => {
    const { contenders, holdMs } = task as ContendersTask;
    globalThis.gc?.();
    const handOvers = new HandOvers();
    await Promise.all(
      lockers.slice(0, contenders).map(async (locker) => {
        await sleep(holdMs * Math.random());
        const held = await locker.acquire(key);
        handOvers.entered(performance.now());
        await sleep(holdMs);
        handOvers.givingBack(performance.now());
        if ((await held.release()) === 'lost') throw new Error('a lock was lost while it was held');
      }),
    );
    return handOvers.latenciesMs;
  };
}
