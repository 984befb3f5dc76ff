import { createLock, IoredisAdapter } from 'redlock-universal';
import { connectIoredis } from '../connect-ioredis.ts';
import type { Locker, Pace } from './locker.ts';

/** By default it asks every 100 ms. Whoever waits does so for as long as it takes. */
const OPTIONS = {
  default: { retryAttempts: Number.MAX_SAFE_INTEGER },
  tuned: { retryAttempts: Number.MAX_SAFE_INTEGER, retryDelay: 10 },
} as const satisfies Readonly<Record<Pace, object>>;

/** The lock of `redlock-universal` for one server, an object for each time that it is taken. */
export async function openRedlockUniversal(url: string, pace: Pace): Promise<Locker> {
  const adapter = new IoredisAdapter(await connectIoredis(url));
  return {
    acquire: async (key) => {
      const lock = createLock({ adapter, key, ...OPTIONS[pace] });
      const handle = await lock.acquire();
      // It answers false for a lock that is not held any more.
      return { release: async () => ((await lock.release(handle)) ? 'released' : 'lost') };
    },
  };
}
