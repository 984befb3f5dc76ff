import type { Clock, Timer } from '@redcache/core';
import { callSafely } from '@redcache/core/toolkit';
import type { SourceKey } from './key-source.ts';
import { Rate } from './rate.ts';

/** How far a warming is. */
export interface WarmProgress {
  /** Keys that are finished: loaded, skipped or failed. */
  readonly done: number;
  /** Keys whose value `loadMany` answered, or said to be absent. */
  readonly loaded: number;
  /** Keys that were there already, or that somebody else loaded meanwhile. */
  readonly skipped: number;
  readonly failed: number;
  /**
   * Every key up to this one, in the order of the source, is finished: from where to go on another time.
   * `undefined` before the first.
   */
  readonly lastKey: string | undefined;
  /** All keys there are, if it is known. */
  readonly total: number | undefined;
  readonly elapsedMs: number;
  /** Keys a second, lately. */
  readonly ratePerSecond: number;
  /** What is left at this rate, if it is known how much that is. */
  readonly etaMs: number | undefined;
}

/** How far the warming of a family is. `lastKey` is what the cache calls {@link lastId}. */
export interface FamilyWarmProgress<Id> extends WarmProgress {
  /** Every id up to this one is finished; `undefined` before the first. */
  readonly lastId: Id | undefined;
}

export type OnProgress<P extends WarmProgress = WarmProgress> = (progress: P) => void;

/** What a batch adds. */
export interface Finished {
  readonly loaded: number;
  readonly skipped: number;
  readonly failed: number;
  readonly last: SourceKey | undefined;
}

/** Counts, and tells a listener now and then: at the first batch, every so often, and at the end. */
export class Report {
  readonly #clock: Clock;
  readonly #total: number | undefined;
  readonly #everyMs: number;
  readonly #onProgress: OnProgress<never> | undefined;
  readonly #showsIds: boolean;
  readonly #beganAtMs: number;
  readonly #rate: Rate;
  #loaded = 0;
  #skipped = 0;
  #failed = 0;
  #last: SourceKey | undefined;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #end: WarmProgress | undefined;

  constructor(parts: {
    readonly clock: Clock;
    readonly total: number | undefined;
    readonly everyMs: number;
    readonly onProgress: OnProgress<never> | undefined;
    /** Ids are something else than keys. */
    readonly showsIds: boolean;
  }) {
    this.#clock = parts.clock;
    this.#total = parts.total;
    this.#everyMs = parts.everyMs;
    this.#onProgress = parts.onProgress;
    this.#showsIds = parts.showsIds;
    this.#beganAtMs = parts.clock.nowMs();
    this.#rate = new Rate(this.#beganAtMs);
  }

  add({ loaded, skipped, failed, last }: Finished): void {
    this.#loaded += loaded;
    this.#skipped += skipped;
    this.#failed += failed;
    this.#last = last;
    const nowMs = this.#clock.nowMs();
    this.#rate.note(nowMs, this.#done);
    if (this.#onProgress === undefined || this.#timer !== undefined) return;
    const waitMs = this.#toldAtMs + this.#everyMs - nowMs;
    if (waitMs <= 0) this.#tell(this.#progress(nowMs));
    else {
      // The last of several batches is not to be unsaid until the next, which may take long.
      this.#timer = this.#clock.setTimer(waitMs, () => {
        this.#timer = undefined;
        this.#tell(this.#progress(this.#clock.nowMs()));
      });
      this.#timer.unref?.();
    }
  }

  /** Nothing more comes. The listener hears it. */
  end(): WarmProgress {
    if (this.#end !== undefined) return this.#end;
    this.#timer?.cancel();
    this.#end = this.#progress(this.#clock.nowMs());
    this.#tell(this.#end);
    return this.#end;
  }

  get #done(): number {
    return this.#loaded + this.#skipped + this.#failed;
  }

  #progress(nowMs: number): WarmProgress {
    const done = this.#done;
    const ratePerSecond = this.#rate.perSecond(nowMs, done);
    const left = this.#total === undefined ? undefined : Math.max(0, this.#total - done);
    return {
      done,
      loaded: this.#loaded,
      skipped: this.#skipped,
      failed: this.#failed,
      lastKey: this.#last?.key,
      ...(this.#showsIds && { lastId: this.#last?.id }),
      total: this.#total,
      elapsedMs: nowMs - this.#beganAtMs,
      ratePerSecond,
      etaMs: left === undefined ? undefined : etaMs(left, ratePerSecond),
    };
  }

  #tell(progress: WarmProgress): void {
    const onProgress = this.#onProgress;
    if (onProgress === undefined) return;
    this.#toldAtMs = this.#clock.nowMs();
    callSafely('onProgress', () => {
      const answer: unknown = onProgress(progress as never);
      // An async function is a listener as well, and nobody else hears of its error.
      if (answer instanceof Promise)
        answer.catch((error) =>
          callSafely('onProgress', () => {
            throw error;
          }),
        );
    });
  }
}

function etaMs(left: number, ratePerSecond: number): number | undefined {
  if (left === 0) return 0;
  return ratePerSecond === 0 ? undefined : (left * 1_000) / ratePerSecond;
}
