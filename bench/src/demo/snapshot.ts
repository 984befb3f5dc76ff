import { nowMs } from '../now.ts';
import type { Latency } from './latency.ts';
import type { Outage } from './outage.ts';
import type { Tally } from './tally.ts';
import type { Writer } from './writer.ts';

/** How things stand: counts since the start, the rate and the latencies since the last snapshot. */
export interface Snapshot {
  readonly elapsedMs: number;
  readonly readsPerSecond: number;
  readonly reads: number;
  readonly local: number;
  readonly shared: number;
  readonly loads: number;
  readonly updates: number;
  readonly pushes: number;
  readonly readMs: Percentiles;
  readonly waitMs: Percentiles;
  readonly late: number;
  readonly worstLatenessMs: number;
  readonly stale: number;
  readonly doubleLoads: number;
  readonly redisIsAway: boolean;
}

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

/** Takes snapshots, one after the other. */
export class Snapshots {
  readonly #tally: Tally;
  readonly #writer: Writer;
  readonly #outage: Outage | undefined;
  readonly #startedAtMs = nowMs();
  #lastAtMs = this.#startedAtMs;
  #lastReads = 0;

  constructor(tally: Tally, writer: Writer, outage: Outage | undefined) {
    this.#tally = tally;
    this.#writer = writer;
    this.#outage = outage;
  }

  take(): Snapshot {
    const tally = this.#tally;
    const { recent, bySource, reads } = tally;
    const atMs = nowMs();
    const readsPerSecond = ((reads - this.#lastReads) * 1e3) / (atMs - this.#lastAtMs);
    this.#lastAtMs = atMs;
    this.#lastReads = reads;
    const readMs = percentilesOf(recent.all);
    const waitMs = percentilesOf(recent.waits);
    for (const each of [recent.all, recent.waits]) each.reset();
    return {
      elapsedMs: atMs - this.#startedAtMs,
      readsPerSecond,
      reads,
      local: bySource.local.count,
      shared: bySource.shared.count,
      loads: tally.loads,
      updates: this.#writer.confirmed,
      pushes: tally.counters.pushes,
      readMs,
      waitMs,
      late: tally.lateCount,
      worstLatenessMs: tally.worstLatenessMs,
      stale: tally.staleCount,
      doubleLoads: tally.doubleLoadCount,
      redisIsAway: this.#outage?.isNow ?? false,
    };
  }
}

const percentilesOf = (latency: Latency): Percentiles => ({
  p50: latency.percentileMs(50),
  p99: latency.percentileMs(99),
});
