import { clientSideCache } from '@redcache/core/node-redis';
import { createLocks } from '@redcache/locks';
import { connect } from '../connect.ts';
import type { Locker, Pace } from './locker.ts';

/**
 * As the README of the package begins: a client with a cache, whose pushes the locks share. `tuned`: a
 * client without one, so that the locks have a connection of their own.
 */
export async function openRedcache(url: string, pace: Pace): Promise<Locker> {
  const client = await connect(url, pace === 'tuned' ? {} : { clientSideCache: clientSideCache() });
  const locks = createLocks({ client });
  return { acquire: (key) => locks.acquire(key) };
}
