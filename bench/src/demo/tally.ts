import { Latency } from './latency.ts';
import type { DoubleLoad, Overlaps } from './overlap.ts';
import type { ReaderReport } from './protocol.ts';
import { type Read, readsOf, type Source } from './read-log.ts';
import type { Staleness } from './staleness.ts';

/** What is told of the errors and violations, one for each row that was stale; all are counted. */
const MAX_SHOWN = 5;

/** One read that answered an old version for too long. */
export interface StaleRead {
  readonly key: string;
  readonly process: number;
  readonly version: number;
  readonly latenessMs: number;
}

/** Counters of all readers together. */
export interface ReaderCounters {
  readonly waits: number;
  readonly coalesced: number;
  readonly pushes: number;
  /** Calls that had to do without Redis. */
  readonly unavailable: number;
}

/** Adds up what the readers report, and has each read and each loader run judged. */
export class Tally {
  readonly all = new Latency();
  readonly bySource: Readonly<Record<Source, Latency>> = {
    local: new Latency(),
    aged: new Latency(),
    shared: new Latency(),
    loaded: new Latency(),
  };
  /** Reads that were answered neither from the process's memory nor by what had aged. */
  readonly waits = new Latency();
  /** The same of late: since somebody last looked. */
  readonly recent = { all: new Latency(), waits: new Latency() };
  readonly staleReads: StaleRead[] = [];
  readonly doubleLoads: DoubleLoad[] = [];
  readonly failures: string[] = [];
  staleCount = 0;
  doubleLoadCount = 0;
  failureCount = 0;
  loads = 0;
  loadsWithoutLease = 0;
  /** Reads that answered an old version after a newer one had been confirmed, and the longest time. */
  lateCount = 0;
  worstLatenessMs = 0;
  readonly #counters = new Map<number, ReaderCounters>();
  readonly #staleness: Staleness;
  readonly #overlaps: Overlaps;
  readonly #keys: readonly string[];
  readonly #boundMs: number;
  readonly #onRead: (read: Read) => void;

  constructor(options: {
    readonly staleness: Staleness;
    readonly overlaps: Overlaps;
    readonly keys: readonly string[];
    readonly boundMs: number;
    readonly onRead: (read: Read) => void;
  }) {
    this.#staleness = options.staleness;
    this.#overlaps = options.overlaps;
    this.#keys = options.keys;
    this.#boundMs = options.boundMs;
    this.#onRead = options.onRead;
  }

  get reads(): number {
    return this.all.count;
  }

  /** Of all readers, as they were last told. */
  get counters(): ReaderCounters {
    const sum = { waits: 0, coalesced: 0, pushes: 0, unavailable: 0 };
    for (const each of this.#counters.values())
      for (const name of Object.keys(sum) as (keyof ReaderCounters)[]) sum[name] += each[name];
    return sum;
  }

  add(report: ReaderReport): void {
    const { process, stats, pushes } = report;
    const { waits, coalesced, unavailable } = stats;
    this.#counters.set(process, { waits, coalesced, unavailable, pushes });
    for (const atMs of report.lossesAtMs) this.#overlaps.addLoss(atMs);
    for (const read of readsOf(report.reads)) this.#addRead(process, read);
    for (const run of report.loads) {
      this.loads += 1;
      if (!run.leased) this.loadsWithoutLease += 1;
      const found = this.#overlaps.add(run);
      this.doubleLoadCount += found.length;
      keepSome(this.doubleLoads, found);
    }
    this.failureCount += report.failures.length;
    keepSome(this.failures, report.failures);
  }

  #addRead(process: number, read: Read): void {
    const isWait = read.source === 'shared' || read.source === 'loaded';
    for (const { all, waits } of [this, this.recent]) {
      all.add(read.tookMs);
      if (isWait) waits.add(read.tookMs);
    }
    this.bySource[read.source].add(read.tookMs);
    this.#onRead(read);
    const key = this.#keys[read.key] as string;
    const latenessMs = this.#staleness.latenessMs(key, read.version, read.beganAtMs);
    if (latenessMs === 0) return;
    this.lateCount += 1;
    this.worstLatenessMs = Math.max(this.worstLatenessMs, latenessMs);
    if (latenessMs <= this.#boundMs) return;
    this.staleCount += 1;
    const { version } = read;
    const isTold = this.staleReads.some((each) => each.key === key && each.version === version);
    if (!isTold) keepSome(this.staleReads, [{ key, process, version, latenessMs }]);
  }
}

function keepSome<T>(kept: T[], found: readonly T[]): void {
  kept.push(...found.slice(0, Math.max(0, MAX_SHOWN - kept.length)));
}
