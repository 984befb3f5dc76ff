import type { Lease } from '@redcache/locks/lease';
import type { Policy } from '../options.ts';
import type { LoadAll } from './loader.ts';
import type { SharedRead } from './shared-read.ts';

/** One key on its way to a value. */
export interface Reading {
  /** As the user named it, and as it stands in Redis. */
  readonly name: string;
  readonly key: string;
  readonly shared: SharedRead;
  readonly load: LoadAll | undefined;
  readonly policy: Policy;
  readonly giveUpAtMs: number;
}

/** The right to load a key; without a lease Redis is away, and nothing will be stored. */
export interface Claim {
  readonly read: Reading;
  readonly lease: { readonly life: Lease; readonly placeholder: string } | undefined;
}
