// Reads through a cache, and is blocked, stopped, left without its server, or ended at bad moments.
import { subscribe } from 'node:diagnostics_channel';
import { clientSideCache } from '@redcache/core/node-redis';
import { createClient } from 'redis';
import { serve } from '../support/child.ts';
import { type Answered, VersionReader } from '../support/versions.ts';

const cache = clientSideCache({ maxStaleness: Number(process.env.MAX_STALENESS_MS ?? 300) });
const client = createClient({
  url: process.env.URL ?? '',
  clientSideCache: cache,
  socket: { reconnectStrategy: 20 },
});
if (process.env.LISTENS !== 'no') client.on('error', () => {});

/** When the client is to be ended, and how. */
type Moment = 'begun' | 'connecting' | 'waiting';
type Ending = 'destroy' | 'close';

const survived: string[] = [];

export const handlers = {
  connect: async (): Promise<void> => {
    await client.connect();
  },
  get: (key: string): Promise<string | null> => client.get(key),
  stats: () => cache.engine.stats(),
  /** Reads for ever, and tells what was read when asked with {@link reads}. */
  watch: (key: string): void => {
    reader = new VersionReader(client, key);
  },
  reads: (): readonly Answered[] => reader?.reads ?? [],
  /** Nothing else runs here meanwhile. What is read in the very same turn is told. */
  blockAndGet: async (
    ms: number,
    key: string,
  ): Promise<{ hits: number; value: string | null; askedAtMs: number }> => {
    const untilMs = performance.now() + ms;
    while (performance.now() < untilMs);
    const { hits } = cache.engine.stats();
    const askedAtMs = Date.now();
    const answer = client.get(key);
    const hitsThen = cache.engine.stats().hits - hits;
    return { hits: hitsThen, value: await answer, askedAtMs };
  },
  /** Ends the client while it is being replaced, and lets go of the parent. */
  endAt: (moment: Moment, ending: Ending): void => {
    const end = (): void => {
      if (ending === 'destroy') client.destroy();
      else void client.close().catch(() => {});
      setImmediate(() => process.channel?.unref());
    };
    let isSilent = false;
    subscribe('redcache:silent', () => {
      isSilent = true;
      if (moment === 'begun') queueMicrotask(end);
    });
    if (moment === 'connecting') client.once('connect', end);
    if (moment === 'waiting')
      client.on('error', () => {
        if (isSilent) setImmediate(end);
        isSilent = false;
      });
  },
  /** As a program does that goes on whatever happens. */
  surviveErrors: (): void => {
    process.on('uncaughtException', (error) => survived.push(error.message));
  },
  survived: (): readonly string[] => survived,
};

let reader: VersionReader | undefined;

serve(handlers);
