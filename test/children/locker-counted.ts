// A process that takes semaphores and read-write locks as it is told.
import { clientSideCache } from '@redcache/core/node-redis';
import { createLocks, type Lock, type Locks } from '@redcache/locks';
import { createClient } from 'redis';
import { serve } from '../support/child.ts';

let locks: Locks | undefined;
const held = new Map<string, Lock>();

const opened = (): Locks => {
  if (locks === undefined) throw new Error('not opened');
  return locks;
};

export const handlers = {
  open: async (url: string): Promise<void> => {
    const client = createClient({ url, clientSideCache: clientSideCache() });
    client.on('error', () => {});
    await client.connect();
    locks = createLocks({ client });
  },
  semaphore: async (key: string, permits: number, leaseMs: number): Promise<bigint> => {
    const lock = await opened().semaphore(key, permits).acquire({ lease: leaseMs });
    held.set(key, lock);
    return lock.fencingToken;
  },
  readWrite: async (key: string, access: 'read' | 'write', leaseMs: number): Promise<bigint> => {
    const lock = await opened().readWrite(key)[access]({ lease: leaseMs });
    held.set(key, lock);
    return lock.fencingToken;
  },
  release: async (key: string): Promise<'released' | 'lost' | 'unknown'> =>
    (await held.get(key)?.release()) ?? 'unknown',
  /** Reads the lock again and again until it is told to stop; answers how often. */
  readOn: async (key: string): Promise<number> => {
    let times = 0;
    reading = true;
    const loops = Array.from({ length: 4 }, async () => {
      while (reading) {
        await opened()
          .readWrite(key)
          .withRead(() => new Promise((resolve) => setTimeout(resolve, 2)));
        times += 1;
      }
    });
    await Promise.all(loops);
    return times;
  },
  stop: (): void => {
    reading = false;
  },
};

let reading = false;

serve(handlers);
