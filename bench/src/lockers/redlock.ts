import Redlock from 'redlock';
import { connectIoredis } from '../connect-ioredis.ts';
import type { Locker, Pace } from './locker.ts';
import { REDLOCK_LEASE_MS, REDLOCK_SETTINGS } from './redlock-settings.ts';

/** `redlock` 5, over one server. */
export async function openRedlock(url: string, pace: Pace): Promise<Locker> {
  const redlock = new Redlock([await connectIoredis(url)], REDLOCK_SETTINGS[pace]);
  return { acquire: (key) => redlock.acquire([key], REDLOCK_LEASE_MS) };
}
