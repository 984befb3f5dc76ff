import type { Cache } from '@redcache/cache-aside';
import { isRedcacheError } from '@redcache/core';
import { nowMs } from '../now.ts';
import type { Database } from './database.ts';
import { keyOf, tagOf } from './keys.ts';
import type { Overlaps } from './overlap.ts';
import type { Random } from './random.ts';
import type { Staleness } from './staleness.ts';
import type { Zipf } from './zipf.ts';

const RETRY_DELETE_MS = 100;
const CLAIM_EVERY_MS = 2;
const MAX_VISITORS = 1000;
/** How often all rows of a region are updated at once. */
const REGION_EVERY_MS = 1500;

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
 * again until the delete has resolved. The rows that are read most are written most. Now and then it
 * updates all rows of a region by one statement and drops their values by one tag.
 */
export class Writer {
  readonly #options: WriterOptions;
  /** Rows with an update under way: versions of one key are confirmed one after the other. */
  readonly #busy = new Set<string>();
  readonly #underWay = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #isPaused = false;
  #stopping = false;
  #startedAtMs = 0;
  #begun = 0;
  #begunRegions = 0;
  #confirmed = 0;
  #confirmedRegions = 0;
  #rowsOfRegions = 0;
  #repeatedDeletes = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** Updates whose delete has resolved. */
  get confirmed(): number {
    return this.#confirmed;
  }

  /** Updates of whole regions whose tag was dropped, and how many rows they were. */
  get regions(): { readonly confirmed: number; readonly rows: number } {
    return { confirmed: this.#confirmedRegions, rows: this.#rowsOfRegions };
  }

  /** Deletes that failed, Redis being away, and were made again. */
  get repeatedDeletes(): number {
    return this.#repeatedDeletes;
  }

  start(onError: (error: unknown) => void): void {
    const { writesPerSecond } = this.#options;
    if (writesPerSecond === 0) return;
    this.#startedAtMs = nowMs();
    this.#timer = setInterval(() => {
      const elapsedMs = nowMs() - this.#startedAtMs;
      const due = Math.floor((elapsedMs * writesPerSecond) / 1000);
      const dueRegions = Math.floor(elapsedMs / REGION_EVERY_MS);
      for (; this.#begun < due; this.#begun += 1) this.#begin(onError);
      for (; this.#begunRegions < dueRegions; this.#begunRegions += 1) this.#beginRegion(onError);
    }, 5);
  }

  /** Resolves when no update is under way; until {@link resume} none begins, nor is made up for. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    await this.#settled();
  }

  resume(): void {
    this.#isPaused = false;
  }

  /** Resolves when no update is under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopping = true;
    await this.#settled();
  }

  async #settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  #begin(onError: (error: unknown) => void): void {
    const { codes, zipf, random } = this.#options;
    const code = codes[zipf.pick(random)] as string;
    if (this.#isPaused || this.#busy.has(code)) return;
    this.#busy.add(code);
    this.#track(
      this.#write(code).finally(() => this.#busy.delete(code)),
      onError,
    );
  }

  #beginRegion(onError: (error: unknown) => void): void {
    if (this.#isPaused) return;
    const { database, random } = this.#options;
    const region = database.regions[Math.floor(random() * database.regions.length)] as string;
    this.#track(this.#writeRegion(region), onError);
  }

  #track(work: Promise<void>, onError: (error: unknown) => void): void {
    const tracked = work.catch(onError).finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }

  async #write(code: string): Promise<void> {
    const { database, random } = this.#options;
    const key = keyOf(code);
    const version = await database.addVisitors(code, 1 + Math.floor(random() * MAX_VISITORS));
    if (await this.#confirm(new Map([[key, version]]), (cache) => cache.delete(key)))
      this.#confirmed += 1;
  }

  async #writeRegion(region: string): Promise<void> {
    const { database, random } = this.#options;
    const codes = database.codesOf(region);
    for (const code of codes) await this.#claim(code);
    try {
      const visitors = 1 + Math.floor(random() * MAX_VISITORS);
      const versions = await database.addVisitorsToRegion(region, visitors);
      const ofKeys = new Map([...versions].map(([code, version]) => [keyOf(code), version]));
      if (!(await this.#confirm(ofKeys, (cache) => cache.invalidateTag(tagOf(region))))) return;
      this.#confirmedRegions += 1;
      this.#rowsOfRegions += versions.size;
    } finally {
      for (const code of codes) this.#busy.delete(code);
    }
  }

  /** Resolves when no update of the row is under way; from then on none begins. */
  async #claim(code: string): Promise<void> {
    while (this.#busy.has(code))
      await new Promise((resolve) => setTimeout(resolve, CLAIM_EVERY_MS));
    this.#busy.add(code);
  }

  /**
   * Drops these keys from the cache: from then on no read may answer an older version. False if the
   * demo ended before: then nothing was promised.
   */
  async #confirm(
    versions: ReadonlyMap<string, number>,
    drop: (cache: Cache) => Promise<void>,
  ): Promise<boolean> {
    const { staleness, overlaps } = this.#options;
    const underWay = { sentAtMs: nowMs(), resolvedAtMs: undefined as number | undefined };
    for (const key of versions.keys()) overlaps.addDelete(key, underWay);
    if (!(await this.#untilResolved(drop))) return false;
    // Taken when the promise has resolved, not when Redis answered: this is what a program can know.
    underWay.resolvedAtMs = nowMs();
    for (const [key, version] of versions) staleness.confirm(key, version, underWay.resolvedAtMs);
    return true;
  }

  async #untilResolved(drop: (cache: Cache) => Promise<void>): Promise<boolean> {
    for (;;) {
      try {
        await drop(this.#options.cache);
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
