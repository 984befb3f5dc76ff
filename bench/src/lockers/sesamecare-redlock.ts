import { Redlock } from '@sesamecare-oss/redlock';
import { connectIoredis } from '../connect-ioredis.ts';
import type { Locker, Pace } from './locker.ts';
import { REDLOCK_LEASE_MS, REDLOCK_SETTINGS } from './redlock-settings.ts';

/** `@sesamecare-oss/redlock`, over one server. */
export async function openSesamecareRedlock(url: string, pace: Pace): Promise<Locker> {
  const redlock = new Redlock([await connectIoredis(url)], REDLOCK_SETTINGS[pace]);
  return { acquire: (key) => redlock.acquire([key], REDLOCK_LEASE_MS) };
}
