import type { Locker } from './lockers/locker.ts';
import { nowMs } from './now.ts';

/** Callers who take and release one lock, again and again, with nothing in between. */
export interface Contention {
  readonly callers: number;
  /** On the clock of the machine, so that several processes can contend in the same time. */
  readonly fromMs: number;
  readonly untilMs: number;
}

/** A contention that begins for all at once, and is measured when all are surely in it. */
export function contentionOf(callers: number, leadMs: number, forMs: number): Contention {
  const fromMs = nowMs() + leadMs;
  return { callers, fromMs, untilMs: fromMs + forMs };
}

/**
 * How often each caller took and released the lock within that time. Whoever still waits at its end gets it
 * once more, which is not counted.
 */
export async function contend(
  locker: Locker,
  key: string,
  { callers, fromMs, untilMs }: Contention,
): Promise<readonly number[]> {
  globalThis.gc?.();
  // The clock of this process costs less, and a call may take no longer than some microseconds.
  const originMs = nowMs() - performance.now();
  const call = async (): Promise<number> => {
    for (let count = 0; ; ) {
      const held = await locker.acquire(key);
      if ((await held.release()) === 'lost') throw new Error('a lock was lost while it was held');
      const atMs = originMs + performance.now();
      if (atMs >= untilMs) return count;
      if (atMs >= fromMs) count += 1;
    }
  };
  return Promise.all(Array.from({ length: callers }, call));
}
