import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type Cache, type CacheOptions, createCache } from '@redcache/cache-aside';
import type { TrackingCache } from '@redcache/core';
import { clientSideCache, trackingOf } from '@redcache/core/node-redis';
import { createClient, type RedisClientType } from 'redis';
import { onTestFinished } from 'vitest';

/** A cache in this process, over a connection of its own. */
export interface LocalCache {
  readonly cache: Cache;
  readonly engine: TrackingCache;
  readonly client: RedisClientType;
}

/** It reconnects quickly, and is closed when the test ends. */
export async function openCache(
  url: string,
  options: Omit<CacheOptions, 'client'> = {},
): Promise<LocalCache> {
  const client = createClient({
    url,
    clientSideCache: clientSideCache({ maxEntries: 50_000 }),
    socket: { reconnectStrategy: 20 },
  }) as RedisClientType;
  client.on('error', () => {});
  await client.connect();
  const cache = createCache({ client, ...options });
  onTestFinished(async () => {
    await cache.close();
    client.destroy();
  });
  return { cache, engine: trackingOf(client), client };
}

/** What stands in Redis for a value that is this text as JSON, and of no group that was invalidated. */
export function storedJson(text: string): string {
  return `rc1 v id json 60000 0 0 e${Number.MAX_SAFE_INTEGER}\n${text}`;
}

let keys = 0;
/** A key nobody has used. */
export function newKey(): string {
  keys += 1;
  return `cache:${process.pid}:${keys}`;
}

/** What was published on a channel since now, until the test ends. */
export function published<T>(channel: string): T[] {
  const messages: T[] = [];
  const listener = (message: unknown): void => void messages.push(message as T);
  subscribe(channel, listener);
  onTestFinished(() => void unsubscribe(channel, listener));
  return messages;
}

/** A loader that the test settles, run by run. */
export function loader() {
  const runs: {
    readonly key: string;
    readonly signal: AbortSignal;
    answer(value: unknown): void;
    fail(error: unknown): void;
  }[] = [];
  const load = (key: string, { signal }: { signal: AbortSignal }): Promise<unknown> =>
    new Promise((answer, fail) => runs.push({ key, signal, answer, fail }));
  return { load, runs };
}
