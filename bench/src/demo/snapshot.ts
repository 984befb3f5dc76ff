import { nowMs } from '../now.ts';
import type { Latency } from './latency.ts';
import type { Maintenance } from './maintenance.ts';
import type { Outage } from './outage.ts';
import type { Tally } from './tally.ts';
import type { Writer } from './writer.ts';

/** How things stand: counts since the start, the rate and the latencies since the last snapshot. */
export interface Snapshot {
  readonly elapsedMs: number;
  readonly readsPerSecond: number;
  readonly reads: number;
  readonly local: number;
  readonly aged: number;
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
  readonly databaseIsStopped: boolean;
}

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

/** What is taken away in the middle of the run, if anything. */
export interface Troubles {
  readonly outage: Outage | undefined;
  readonly maintenance: Maintenance | undefined;
}

/** Takes snapshots, one after the other. */
export class Snapshots {
  readonly #tally: Tally;
  readonly #writer: Writer;
  readonly #troubles: Troubles;
  readonly #startedAtMs = nowMs();
  #lastAtMs = this.#startedAtMs;
  #lastReads = 0;

  constructor(tally: Tally, writer: Writer, troubles: Troubles) {
    this.#tally = tally;
    this.#writer = writer;
    this.#troubles = troubles;
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
      aged: bySource.aged.count,
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
      redisIsAway: this.#troubles.outage?.isNow ?? false,
      databaseIsStopped: this.#troubles.maintenance?.isNow ?? false,
    };
  }
}

const percentilesOf = (latency: Latency): Percentiles => ({
  p50: latency.percentileMs(50),
  p99: latency.percentileMs(99),
});
