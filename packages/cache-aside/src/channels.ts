import { publisher } from '@redcache/core/toolkit';

/** What `@redcache/cache-aside` reports on `node:diagnostics_channel`. */
export interface CacheChannels {
  /** A caller waits for the load of another process or cache. `cause`: what ended the wait. */
  'redcache:cache:woken': { readonly key: string; readonly cause: string };
  /** A loader ran. `stored`: whether its value is in Redis now. */
  'redcache:cache:load': { readonly key: string; readonly ms: number; readonly stored: boolean };
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
