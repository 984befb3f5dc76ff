import type { Clock } from '@redcache/core';
import { WarmError } from '../errors.ts';
import type { KeySource, SourceKey } from './key-source.ts';
import { type OnProgress, Report, type WarmProgress } from './progress.ts';
import { Reached } from './reached.ts';
import { unlessAborted } from './unless-aborted.ts';

/** What became of the keys of a batch. `failed`: why, for each. */
export interface BatchOutcome {
  readonly loaded: number;
  readonly skipped: number;
  readonly failed: ReadonlyMap<string, unknown>;
}

/**
 * Sees to it that each of these keys is there. Settles when all of them have, and soon after `signal` is
 * aborted. Rejects only for what concerns every other batch as well. `ids`: of all keys.
 */
export type ReadBatch = (
  keys: readonly string[],
  signal: AbortSignal,
  ids: ReadonlyMap<string, unknown>,
) => Promise<BatchOutcome>;

/** How a source is worked through. */
export interface WarmPlan {
  /** Batches at a time. */
  readonly concurrency: number;
  /** Keys in each. */
  readonly batchSize: number;
  readonly onError: 'continue' | 'stop';
  readonly onProgress: OnProgress<never> | undefined;
  readonly progressEveryMs: number;
  /** Taken from the source if it knows. */
  readonly total: number | undefined;
}

/** More errors are counted and not kept. */
const MOST_ERRORS_KEPT = 1_000;

/**
 * Works through a source of keys, some batches at a time. No more keys are held than those batches have:
 * the source is asked for more when one of them has finished.
 */
export class Warming {
  readonly #source: KeySource;
  readonly #readBatch: ReadBatch;
  readonly #plan: WarmPlan;
  readonly #signal: AbortSignal;
  readonly #report: Report;
  readonly #reached = new Reached();
  readonly #errors = new Map<string, unknown>();
  /** Aborted when nothing more is to be read, whatever the reason. */
  readonly #halt = new AbortController();
  /** What ends the run as a whole. */
  #broken: { readonly error: unknown } | undefined;
  #running = 0;
  #changed = (): void => {};

  constructor(parts: {
    readonly source: KeySource;
    readonly readBatch: ReadBatch;
    readonly plan: WarmPlan;
    readonly signal: AbortSignal;
    readonly clock: Clock;
    /** Ids are something else than keys, and are reported as well. */
    readonly showsIds?: boolean;
  }) {
    const { source, plan, clock, showsIds = false } = parts;
    this.#source = source;
    this.#readBatch = parts.readBatch;
    this.#plan = plan;
    this.#signal = parts.signal;
    this.#report = new Report({
      clock,
      showsIds,
      total: plan.total ?? source.size,
      everyMs: plan.progressEveryMs,
      onProgress: plan.onProgress,
    });
  }

  /**
   * Resolves: how it ended.
   * Throws: `WarmError` if keys failed; what the source or a batch as a whole threw, once those under way
   * have finished; the reason of the signal, at once.
   */
  async run(): Promise<WarmProgress> {
    const signal = this.#signal;
    const onAbort = (): void => {
      this.#halt.abort();
      this.#changed();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    let end: WarmProgress;
    try {
      if (signal.aborted) onAbort();
      await this.#feed();
      // Those who hold a connection or a cursor for the source need not wait for the last batches.
      this.#source.giveBack();
      while (this.#running > 0 && !signal.aborted) await this.#change();
      signal.throwIfAborted();
      if (this.#broken !== undefined) throw this.#broken.error;
    } finally {
      signal.removeEventListener('abort', onAbort);
      end = this.#report.end();
    }
    if (end.failed > 0) throw new WarmError(end, this.#errors);
    return end;
  }

  async #feed(): Promise<void> {
    const { concurrency, batchSize } = this.#plan;
    const halted = this.#halt.signal;
    try {
      while (!halted.aborted) {
        if (this.#running >= concurrency) {
          await this.#change();
          continue;
        }
        // Batches that ask nobody end in the turn in which they began, and others are to have theirs.
        await new Promise(setImmediate);
        if (halted.aborted) return;
        const keys = await unlessAborted(this.#source.take(batchSize), halted);
        if (keys.length > 0) void this.#work(keys);
        if (keys.length < batchSize) return;
      }
    } catch (error) {
      // Else nothing is wrong with the source.
      if (!halted.aborted) this.#broken = { error };
    }
  }

  /** Never rejects. */
  async #work(taken: readonly SourceKey[]): Promise<void> {
    this.#running += 1;
    const finish = this.#reached.begin(taken.at(-1) as SourceKey);
    const ids = new Map(taken.map(({ key, id }) => [key, id]));
    try {
      const { loaded, skipped, failed } = await this.#readBatch([...ids.keys()], this.#signal, ids);
      // What was told to stop has not been done.
      if (this.#signal.aborted) return;
      finish();
      this.#keepErrors(failed);
      const twice = taken.length - ids.size;
      const { last } = this.#reached;
      if (failed.size > 0 && this.#plan.onError === 'stop') this.#halt.abort();
      this.#report.add({ loaded, skipped: skipped + twice, failed: failed.size, last });
    } catch (error) {
      this.#broken ??= { error };
      this.#halt.abort();
    } finally {
      this.#running -= 1;
      this.#changed();
    }
  }

  #keepErrors(failed: ReadonlyMap<string, unknown>): void {
    for (const [key, error] of failed) {
      if (this.#errors.size >= MOST_ERRORS_KEPT) return;
      this.#errors.set(key, error);
    }
  }

  /** Resolves when a batch has ended, or the signal was aborted. The run alone waits for it. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = resolve;
    });
  }
}
