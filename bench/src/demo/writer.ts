import type { Cache } from '@redcache/cache-aside';
import { isRedcacheError } from '@redcache/core';
import { nowMs } from '../now.ts';
import type { Database } from './database.ts';
import { keyOf } from './keys.ts';
import type { Overlaps } from './overlap.ts';
import type { Random } from './random.ts';
import type { Staleness } from './staleness.ts';
import type { Zipf } from './zipf.ts';

const RETRY_DELETE_MS = 100;
const MAX_VISITORS = 1000;

export interface WriterOptions {
  readonly database: Database;
  readonly cache: Cache;
  readonly staleness: Staleness;
  readonly overlaps: Overlaps;
  readonly codes: readonly string[];
  readonly zipf: Zipf;
  readonly random: Random;
  readonly writesPerSecond: number;
}

/**
 * Updates rows and deletes their keys, each as a program would: first the row, then the key, and
 * again until the delete has resolved. The rows that are read most are written most.
 */
export class Writer {
  readonly #options: WriterOptions;
  /** Rows with an update under way: versions of one key are confirmed one after the other. */
  readonly #busy = new Set<string>();
  readonly #underWay = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #stopping = false;
  #begun = 0;
  #confirmed = 0;
  #repeatedDeletes = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** Updates whose delete has resolved. */
  get confirmed(): number {
    return this.#confirmed;
  }

  /** Deletes that failed, Redis being away, and were made again. */
  get repeatedDeletes(): number {
    return this.#repeatedDeletes;
  }

  start(onError: (error: unknown) => void): void {
    const { writesPerSecond } = this.#options;
    if (writesPerSecond === 0) return;
    const startedAtMs = nowMs();
    this.#timer = setInterval(() => {
      const due = Math.floor(((nowMs() - startedAtMs) * writesPerSecond) / 1000);
      for (; this.#begun < due; this.#begun += 1) this.#begin(onError);
    }, 5);
  }

  /** Resolves when no update is under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopping = true;
    await Promise.all(this.#underWay);
  }

  #begin(onError: (error: unknown) => void): void {
    const { codes, zipf, random } = this.#options;
    const code = codes[zipf.pick(random)] as string;
    if (this.#busy.has(code)) return;
    this.#busy.add(code);
    const write = this.#write(code)
      .catch(onError)
      .finally(() => {
        this.#busy.delete(code);
        this.#underWay.delete(write);
      });
    this.#underWay.add(write);
  }

  async #write(code: string): Promise<void> {
    const { database, staleness, overlaps, random } = this.#options;
    const key = keyOf(code);
    const version = await database.addVisitors(code, 1 + Math.floor(random() * MAX_VISITORS));
    const underWay = { sentAtMs: nowMs(), resolvedAtMs: undefined as number | undefined };
    overlaps.addDelete(key, underWay);
    if (!(await this.#deleteUntilResolved(key))) return;
    // Taken when the promise has resolved, not when Redis answered: this is what a program can know.
    underWay.resolvedAtMs = nowMs();
    staleness.confirm(key, version, underWay.resolvedAtMs);
    this.#confirmed += 1;
  }

  /** False if the demo ended before: then nothing was promised. */
  async #deleteUntilResolved(key: string): Promise<boolean> {
    for (;;) {
      try {
        await this.#options.cache.delete(key);
        return true;
      } catch (error) {
        if (!isRedisAway(error)) throw error;
        if (this.#stopping) return false;
        this.#repeatedDeletes += 1;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_DELETE_MS));
    }
  }
}

/** Anything else is a mistake of the demo's own. */
function isRedisAway(error: unknown): boolean {
  const codes = ['REDCACHE_OUTCOME_UNKNOWN', 'REDCACHE_UNAVAILABLE'];
  return isRedcacheError(error) && codes.includes(error.code);
}
