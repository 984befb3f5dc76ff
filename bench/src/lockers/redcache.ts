import { clientSideCache } from '@redcache/core/node-redis';
import { createLocks } from '@redcache/locks';
import { connect } from '../connect.ts';
import type { Locker } from './locker.ts';

/** As the README of the package begins: a client with a cache, whose pushes the locks share. */
export async function openRedcache(url: string): Promise<Locker> {
  const client = await connect(url, { clientSideCache: clientSideCache() });
  const locks = createLocks({ client });
  return { acquire: (key) => locks.acquire(key) };
}
