import { publisher } from '@redcache/core/toolkit';
import type { LoadCause } from './instruments.ts';
import type { RefreshCause } from './refresh/refreshes.ts';

/**
 * What `@redcache/cache-aside` reports on `node:diagnostics_channel`. `key` is the key as it stands in
 * Redis. Hits, misses and writes have none: a hit is the hot path, and `stats()` counts all of them.
 */
export interface CacheChannels {
  /** A caller begins to wait for the load of another process or cache. */
  'redcache:cache:waiting': { readonly key: string };
  /** Such a wait is over. `cause`: what ended it. */
  'redcache:cache:woken': {
    readonly key: string;
    readonly cause: string;
    readonly waitedMs: number;
  };
  /** A loader ran. `stored`: whether its value is in Redis now. */
  'redcache:cache:load': {
    readonly key: string;
    readonly ms: number;
    readonly stored: boolean;
    readonly cause: LoadCause;
  };
  /** A loader failed or took too long; its callers get the error, or a value that has aged. */
  'redcache:cache:load-failed': {
    readonly key: string;
    readonly ms: number;
    readonly error: unknown;
    readonly cause: LoadCause;
  };
  /** A value was loaded, and not stored: its key changed meanwhile. */
  'redcache:cache:lost-lease': { readonly key: string };
  /** A value is to be loaded anew while it is still served. */
  'redcache:cache:refresh': { readonly key: string; readonly cause: RefreshCause };
  /** It should be, but too many such loads wait already. */
  'redcache:cache:refresh-dropped': { readonly key: string; readonly cause: RefreshCause };
  /** A load behind a value that was still served has failed. */
  'redcache:cache:refresh-failed': { readonly key: string; readonly error: unknown };
  /** A load failed, and a value that had aged was served in its place. */
  'redcache:cache:stale-if-error': {
    readonly key: string;
    readonly error: unknown;
    readonly ageMs: number;
  };
  /** Redis could not be used for a read or a load; the call went on by its policy. */
  'redcache:cache:unavailable': { readonly key: string; readonly error: unknown };
  /** What stands under a key is nothing that redcache can read; it counts as absent. */
  'redcache:cache:unreadable': { readonly key: string; readonly reason: unknown };
  /** A delete or write went unanswered. The key is not kept here until it has been deleted again. */
  'redcache:cache:uncertain': { readonly key: string };
  /** Too many such keys: this one is forgotten, and may be stale until its TTL ends. */
  'redcache:cache:uncertain-dropped': { readonly key: string };
}

export const publish: ReturnType<typeof publisher<CacheChannels>> = publisher<CacheChannels>();
