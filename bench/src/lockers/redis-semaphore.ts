import { Mutex, type TimeoutOptions } from 'redis-semaphore';
import { connectIoredis } from '../connect-ioredis.ts';
import type { Locker, Pace } from './locker.ts';

/** By default it asks every 10 ms. Whoever waits does so for as long as it takes. */
const OPTIONS: Readonly<Record<Pace, TimeoutOptions>> = {
  default: { acquireTimeout: Number.POSITIVE_INFINITY },
  tuned: { acquireTimeout: Number.POSITIVE_INFINITY, retryInterval: 2 },
};

/** The mutex of `redis-semaphore`, an object for each time that it is taken. */
export async function openRedisSemaphore(url: string, pace: Pace): Promise<Locker> {
  const client = await connectIoredis(url);
  return {
    acquire: async (key) => {
      const mutex = new Mutex(client, key, OPTIONS[pace]);
      await mutex.acquire();
      return mutex;
    },
  };
}
