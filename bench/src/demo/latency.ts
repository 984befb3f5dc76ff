import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** Times of many calls, to three digits. */
export class Latency {
  readonly #histogram: RecordableHistogram = createHistogram();

  add(tookMs: number): void {
    // The histogram counts whole nanoseconds from 1.
    this.#histogram.record(Math.max(1, Math.round(tookMs * 1e6)));
  }

  get count(): number {
    return this.#histogram.count;
  }

  /** 0 before the first call. */
  percentileMs(percent: number): number {
    return this.count === 0 ? 0 : this.#histogram.percentile(percent) / 1e6;
  }

  reset(): void {
    this.#histogram.reset();
  }
}
