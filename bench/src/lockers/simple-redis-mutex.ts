import { lock } from 'simple-redis-mutex';
import { connect } from '../connect.ts';
import type { Locker } from './locker.ts';

/**
 * `simple-redis-mutex`, over node-redis. Who waits listens to a channel, the same for all locks, and
 * asks every 10 s besides; all clients of a process share the first one's subscriber.
 */
export async function openSimpleRedisMutex(url: string): Promise<Locker> {
  const client = await connect(url);
  return {
    acquire: async (key) => {
      const release = await lock(client as unknown as Parameters<typeof lock>[0], key);
      return { release };
    },
  };
}
