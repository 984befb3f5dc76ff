import { setTimeout as sleep } from 'node:timers/promises';
import { type Contention, contend } from '../contention.ts';
import { measureLoad } from '../load.ts';
import { type Library, type Locker, openLocker, type Pace } from '../lockers/locker.ts';
import type { Work } from '../roles.ts';
import { ServerProbe } from '../server-probe.ts';

export type LockerTask =
  /** Takes and releases locks that nobody else wants. Answers `LoadCost`. */
  | { readonly is: 'load'; readonly concurrency: number; readonly calls: number }
  /** Answers how often each caller took the lock that all want. */
  | ({ readonly is: 'contend' } & Contention)
  /** Takes the lock that all want, and keeps it. */
  | { readonly is: 'hold' }
  /** Lets so many callers wait for it. Answers when they have waited for a while. */
  | { readonly is: 'queue'; readonly waiters: number }
  /** Does nothing else for that time. Answers the part of a core that this process took. */
  | { readonly is: 'idle'; readonly forMs: number };

/** More than there are calls at a time, so that no two of them want the same. */
const FREE_KEYS = 1000;
/** After that those who wait have said so wherever they have to. */
const SETTLED_MS = 1000;

/** Locks by one library; arguments: {@link Library}, {@link Pace}, URL, namespace. */
export async function lockerRole(...args: string[]): Promise<Work> {
  const [library, pace, url, namespace] = args as [Library, Pace, string, string];
  const locker = await openLocker(library, pace, url);
  const probe = await ServerProbe.open(url);
  const wanted = `${namespace}:wanted`;

  return async (given) => {
    const task = given as LockerTask;
    switch (task.is) {
      case 'load': {
        const { calls, concurrency } = task;
        const call = (place: number) => takeAndRelease(locker, `${namespace}:${place % FREE_KEYS}`);
        return measureLoad({ calls, concurrency, call }, probe);
      }
      case 'contend':
        return contend(locker, wanted, task);
      case 'hold':
        await locker.acquire(wanted);
        return undefined;
      case 'queue':
        for (let i = 0; i < task.waiters; i += 1)
          void locker.acquire(wanted).then(() => {
            throw new Error('one who was to wait got the lock');
          });
        await sleep(SETTLED_MS);
        return undefined;
      case 'idle': {
        globalThis.gc?.();
        const begin = process.cpuUsage();
        const beginMs = performance.now();
        await sleep(task.forMs);
        const { user, system } = process.cpuUsage(begin);
        return (user + system) / (1000 * (performance.now() - beginMs));
      }
    }
  };
}

async function takeAndRelease(locker: Locker, key: string): Promise<void> {
  const held = await locker.acquire(key);
  if ((await held.release()) === 'lost') throw new Error('a lock was lost while it was held');
}
