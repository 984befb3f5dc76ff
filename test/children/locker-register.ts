// A process that takes locks as it is told, and says of each look at one when it looked.
import { clientSideCache } from '@redcache/core/node-redis';
import { createLocks, type Lock, type Locks } from '@redcache/locks';
import { createClient } from 'redis';
import { serve } from '../support/child.ts';

/** `atNs`: on the clock that all processes of a machine share, read before the look. */
export interface Look {
  readonly atNs: bigint;
  readonly isHeld: boolean;
}

let locks: Locks | undefined;
let blind = false;
const held = new Map<string, Lock>();

export const handlers = {
  /** `asBlind`: it believes in every lock that it was ever given. */
  open: async (url: string, prefix: string, asBlind: boolean): Promise<void> => {
    blind = asBlind;
    const client = createClient({ url, clientSideCache: clientSideCache() });
    client.on('error', () => {});
    await client.connect();
    locks = createLocks({ client, prefix });
  },
  enter: async (key: string, leaseMs: number): Promise<bigint> => {
    if (locks === undefined) throw new Error('not opened');
    const lock = await locks.acquire(key, { lease: leaseMs });
    held.set(key, lock);
    return lock.fencingToken;
  },
  /** Were the process stopped after the look, its time would still be that of the look. */
  look: (key: string): Look => {
    const atNs = process.hrtime.bigint();
    return { atNs, isHeld: blind || held.get(key)?.signal.aborted === false };
  },
  leave: async (key: string): Promise<void> => {
    // A release that is not answered is made up for by itself.
    await held
      .get(key)
      ?.release()
      .catch(() => {});
  },
};

serve(handlers);
