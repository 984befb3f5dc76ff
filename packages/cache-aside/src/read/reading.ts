import type { Lease } from '@redcache/locks/lease';
import type { Tags } from '../options.ts';
import type { Policy } from '../policy.ts';
import type { Content } from '../redis/keyspace.ts';
import type { RefreshCause } from '../refresh/refreshes.ts';
import type { Counters } from '../stats.ts';
import type { ValueFormat } from '../value.ts';
import type { Aged } from './aged.ts';
import type { LoadAll } from './loader.ts';
import type { SharedRead } from './shared-read.ts';

/** One key on its way to a value. */
export interface Reading {
  /** As the user named it, and as it stands in Redis. */
  readonly name: string;
  readonly key: string;
  readonly shared: SharedRead;
  readonly load: LoadAll | undefined;
  readonly loadsApart: boolean;
  readonly policy: Policy;
  readonly format: ValueFormat;
  readonly tags: Tags<never> | undefined;
  readonly counters: Counters;
  /** Whose values they are, if they are a family's. */
  readonly family: string | undefined;
  /** Whatever there is, it is loaded anew. */
  readonly renews: boolean;
  /** Why it is loaded behind a value that is served meanwhile, if it is. */
  readonly behind: RefreshCause | undefined;
  readonly giveUpAtMs: number;
  /** What was there when it was looked for last, and may be served if it comes to that. */
  aged: Aged | undefined;
  /** Whose load was seen the last time when something had come between. */
  seenHolder: string | undefined;
}

/** The right to load a key; without a lease Redis is away, and nothing will be stored. */
export interface Claim {
  readonly read: Reading;
  readonly lease: LoadLease | undefined;
}

/** The right to load a key and to store what comes of it, as long as its lease stands. */
export interface LoadLease {
  readonly life: Lease;
  /** It stands in a key of its own, so that no push of the data key is an echo of it. */
  readonly isBeside: boolean;
  /** The epoch at which the load began. */
  readonly epoch: number;
  /** Stores a value under it, if it still stands (I8). Resolves whether it did. */
  fill(envelope: Content, ttlMs: number): Promise<boolean>;
  /** The same for one whose end is not known: nobody is to wait for it. */
  release(): Promise<unknown>;
}
