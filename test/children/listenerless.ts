// A client with a cache and nobody who listens to its errors; what node-redis then throws is noted.
import { subscribe } from 'node:diagnostics_channel';
import { clientSideCache } from '@redcache/core/node-redis';
import { createClient, createClientPool, createCluster, createSentinel } from 'redis';
import { serve } from '../support/child.ts';

interface Address {
  readonly host: string;
  readonly port: number;
}

const uncaught: string[] = [];
process.on('uncaughtException', (error) => uncaught.push(error.message));

const cache = clientSideCache();

interface Reader {
  connect(): Promise<unknown>;
  get(key: string): Promise<string | null>;
}

const makers: Record<string, (roots: Address[]) => unknown> = {
  client: ([socket]) => createClient({ socket: socket as Address, clientSideCache: cache }),
  pool: ([socket]) =>
    createClientPool(
      { socket: socket as Address },
      { minimum: 2, maximum: 2, clientSideCache: cache },
    ),
  cluster: (roots) =>
    createCluster({ rootNodes: roots.map((socket) => ({ socket })), clientSideCache: cache }),
  sentinel: (roots) =>
    createSentinel({ name: 'mymaster', sentinelRootNodes: roots, clientSideCache: cache }),
};

let reader: Reader;

export const handlers = {
  open: async (kind: string, roots: Address[]): Promise<void> => {
    reader = makers[kind]?.(roots) as Reader;
    await reader.connect();
  },
  /** Answers whether it was answered from here. */
  read: async (key: string): Promise<boolean> => {
    const { hits } = cache.engine.stats();
    await reader.get(key);
    return cache.engine.stats().hits > hits;
  },
  now: () => {
    const { entries, evictions, state } = cache.engine.stats();
    return { entries, state, lost: evictions.disconnect, uncaught };
  },
  /** Whoever hears of invalidations throws, and so does whoever hears that somebody threw. */
  throwInChannels: (): void => {
    for (const name of ['redcache:invalidation', 'redcache:flush', 'redcache:callback-error'])
      subscribe(name, () => {
        throw new Error(`thrown by a listener of ${name}`);
      });
  },
};

serve(handlers);
