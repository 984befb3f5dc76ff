// What the demo's process and its readers say to each other, by IPC.
import type { CacheAsideStats } from '@redcache/cache-aside';
import type { Country } from './database.ts';
import type { LoaderRun } from './overlap.ts';
import type { ReadBatch } from './read-log.ts';

/** All a reader has to know; its argument on the command line, as JSON. */
export interface ReaderTask {
  readonly process: number;
  readonly url: string;
  /** Which country it asks for, most wanted first, and how much more wanted the first ones are. */
  readonly codes: readonly string[];
  readonly skew: number;
  readonly namespace: string;
  readonly ttlMs: number;
  readonly readRate: number;
  readonly seed: number;
}

export type ToReader =
  | { readonly is: 'start' }
  /** Make no more reads, wait for those under way, report them and say that it is done. */
  | { readonly is: 'stop' }
  | { readonly is: 'row'; readonly id: number; readonly row: Country }
  | { readonly is: 'no-row'; readonly id: number; readonly message: string };

export type FromReader =
  | { readonly is: 'ready' }
  | { readonly is: 'query'; readonly id: number; readonly code: string }
  | ({ readonly is: 'report' } & ReaderReport)
  | { readonly is: 'done' };

/** What happened in a reader since its last report, and its counters since it began. */
export interface ReaderReport {
  readonly process: number;
  readonly reads: ReadBatch;
  /** Messages of reads that failed. */
  readonly failures: readonly string[];
  readonly loads: readonly LoaderRun[];
  /** When it noticed that it had lost its connection to Redis. */
  readonly lossesAtMs: readonly number[];
  readonly stats: CacheAsideStats;
  /** Invalidation pushes received. */
  readonly pushes: number;
}
