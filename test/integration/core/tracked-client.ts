import type { TrackingCache } from '@redcache/core';
import {
  type ClientSideCache,
  type ClientSideCacheOptions,
  clientSideCache,
} from '@redcache/core/node-redis';
import { createClient } from 'redis';
import { eventually } from '../../support/eventually.ts';

type ClientOptions = NonNullable<Parameters<typeof createClient>[0]>;

/** What else such a client is made with. `cache`: one that others use as well. */
export interface TrackedClientOptions extends Omit<ClientOptions, 'clientSideCache' | 'RESP'> {
  readonly cache?: ClientSideCache;
}

/** A connected client with our cache, which serves hits by now, and its engine. */
export async function trackedClient(
  url: string,
  options?: ClientSideCacheOptions,
  { cache = clientSideCache(options), ...others }: TrackedClientOptions = {},
) {
  const client = createClient({
    url,
    RESP: 3,
    socket: { reconnectStrategy: () => 5 },
    ...(others as object),
    clientSideCache: cache,
  });
  client.on('error', () => {});
  const engine: TrackingCache = cache.engine;
  const { connections } = engine.stats();
  await client.connect();
  // Tracking is switched on by the first command.
  await client.ping();
  await eventually(() => engine.state === 'tracking' && engine.stats().connections > connections);
  return {
    client,
    engine,
    cache,
    /** Whether this read was answered from here. */
    isHit: async (key: string): Promise<boolean> => {
      const { hits } = engine.stats();
      await client.get(key);
      return engine.stats().hits > hits;
    },
    /** Resolves when reads of that key are answered from here. */
    untilHit: async (key: string): Promise<void> => {
      await eventually(
        async () => {
          const { hits } = engine.stats();
          await client.get(key);
          return engine.stats().hits > hits;
        },
        Boolean,
        { what: 'a hit' },
      );
    },
    /** Every push that the server sent before this call has been handled when it resolves. */
    drained: async (): Promise<void> => void (await client.ping()),
    [Symbol.asyncDispose]: async () => client.destroy(),
  };
}

/** Resolves when a connection is tracked and has proved it. */
export async function tracking(engine: TrackingCache): Promise<void> {
  await eventually(
    () => engine.state,
    (state) => state === 'tracking',
  );
}

/** A connected client without cache, for whoever else there is. */
export async function otherClient(url: string, options: ClientOptions = {}) {
  const client = createClient({ url, ...options });
  client.on('error', () => {});
  await client.connect();
  return { client, [Symbol.asyncDispose]: async () => client.destroy() };
}
