import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** Times in milliseconds; all 0 while nothing was counted. */
export interface TimeStats {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** A histogram counts whole microseconds, up to an hour, to one part in a hundred. */
const US_A_MS = 1_000;
const LONGEST_US = 3_600_000_000;

/** How long something took, each time: some kilobytes however many times, and none before the first. */
export class Times {
  #histogram: RecordableHistogram | undefined;

  record(timeMs: number): void {
    const us = Math.round(timeMs * US_A_MS);
    this.#began().record(Math.min(Math.max(1, us), LONGEST_US));
  }

  /** Counts what another has counted. */
  add(other: Times): void {
    const counted = other.#histogram;
    if (counted !== undefined) this.#began().add(counted);
  }

  stats(): TimeStats {
    const histogram = this.#histogram;
    if (histogram === undefined) return { count: 0, mean: 0, p50: 0, p95: 0, p99: 0, max: 0 };
    const at = (percentile: number): number => histogram.percentile(percentile) / US_A_MS;
    return {
      count: histogram.count,
      mean: histogram.mean / US_A_MS,
      ...{ p50: at(50), p95: at(95), p99: at(99) },
      max: histogram.max / US_A_MS,
    };
  }

  #began(): RecordableHistogram {
    this.#histogram ??= createHistogram({ lowest: 1, highest: LONGEST_US, figures: 2 });
    return this.#histogram;
  }
}
