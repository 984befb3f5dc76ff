// A process with a cache, whose loaders wait for the test to answer them.
import { subscribe } from 'node:diagnostics_channel';
import { type Cache, type CacheOptions, createCache } from '@redcache/cache-aside';
import { msgpack } from '@redcache/cache-aside/msgpack';
import { clientSideCache } from '@redcache/core/node-redis';
import { createClient } from 'redis';
import { barrier, emit, serve } from '../support/child.ts';

let cache: Cache;
const waiting: ((value: unknown) => void)[] = [];
const woken: string[] = [];
subscribe('redcache:cache:woken', (message) => woken.push((message as { cause: string }).cause));

const load = (key: string): Promise<unknown> =>
  new Promise((resolve) => {
    waiting.push(resolve);
    emit('load', key);
  });

/** A loader whose source is broken. */
const broken = (): never => {
  throw Object.assign(new Error('no database'), { code: 'NO_DATABASE' });
};

export const handlers = {
  open: async (
    url: string,
    {
      codec,
      ...options
    }: Omit<CacheOptions, 'client' | 'codec'> & { codec?: 'json' | 'msgpack' } = {},
  ): Promise<void> => {
    const client = createClient({ url, clientSideCache: clientSideCache() });
    client.on('error', () => {});
    await client.connect();
    cache = createCache({ client, ...options, ...(codec === 'msgpack' && { codec: msgpack }) });
  },
  /** That many callers ask for one key as soon as all processes are here. */
  crowd: async (key: string, callers: number): Promise<unknown[]> => {
    await barrier();
    return Promise.all(Array.from({ length: callers }, () => cache.get(key, load)));
  },
  get: (key: string): Promise<unknown> => cache.get(key, load),
  getNow: (key: string, value: unknown): Promise<unknown> => cache.get(key, () => value),
  /** Answers every loader that runs. */
  answer: (value: unknown): number => {
    const answered = waiting.splice(0);
    for (const resolve of answered) resolve(value);
    return answered.length;
  },
  getBroken: (key: string): Promise<unknown> => cache.get(key, broken),
  peek: (key: string): unknown => cache.peek(key),
  expire: (key: string): Promise<boolean> => cache.expire(key),
  delete: (key: string): Promise<void> => cache.delete(key),
  set: (key: string, value: unknown): Promise<void> => cache.set(key, value),
  woken: (): string[] => woken,
  stats: () => cache.stats(),
};

serve(handlers);
