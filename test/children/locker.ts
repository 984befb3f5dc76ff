// A process that takes locks as it is told.
import { subscribe } from 'node:diagnostics_channel';
import { clientSideCache } from '@redcache/core/node-redis';
import { createLocks, type Lock, type Locks } from '@redcache/locks';
import { createClient } from 'redis';
import { emit, serve } from '../support/child.ts';

interface Look {
  readonly remainingMs: number;
  /** Of the signal's reason; undefined while the lock is held. */
  readonly reason: string | undefined;
}

let locks: Locks | undefined;
let client: ReturnType<typeof createClient> | undefined;
const held = new Map<string, Lock>();

const opened = (): Locks => {
  if (locks === undefined) throw new Error('not opened');
  return locks;
};
const lockOf = (key: string): Lock => {
  const lock = held.get(key);
  if (lock === undefined) throw new Error(`${key} was never held`);
  return lock;
};
const reasonOf = ({ signal }: Lock): string | undefined => signal.reason?.reason;

subscribe('redcache:lock:woken', (message) => emit('woken', message));

export const handlers = {
  open: async (url: string, tracked = true): Promise<void> => {
    const cache = tracked ? { clientSideCache: clientSideCache() } : {};
    client = createClient({ url, ...cache });
    client.on('error', () => {});
    await client.connect();
    locks = createLocks({ client });
  },
  openQuorum: async (urls: readonly string[]): Promise<void> => {
    const clients = urls.map((url) => createClient({ url, clientSideCache: clientSideCache() }));
    for (const each of clients) each.on('error', () => {});
    await Promise.all(clients.map((each) => each.connect()));
    client = clients[0] as typeof client;
    locks = createLocks({ clients });
  },
  acquire: async (key: string, leaseMs: number): Promise<bigint> => {
    const lock = await opened().acquire(key, { lease: leaseMs });
    held.set(key, lock);
    return lock.fencingToken;
  },
  release: (key: string): Promise<'released' | 'lost'> => lockOf(key).release(),
  /** Looks first at the time that is left. */
  lookAtTime: (key: string): Look => {
    const lock = lockOf(key);
    return { remainingMs: lock.remainingMs(), reason: reasonOf(lock) };
  },
  /** Looks first at the signal. */
  lookAtSignal: (key: string): Look => {
    const lock = lockOf(key);
    return { reason: reasonOf(lock), remainingMs: lock.remainingMs() };
  },
  /** Adds one, many times, in a way that loses some unless nobody else does meanwhile. */
  count: async (lockKey: string, counter: string, times: number): Promise<string[]> => {
    const tokens: string[] = [];
    for (let i = 0; i < times; i += 1)
      await opened().withLock(lockKey, async (lock) => {
        const before = Number(await client?.sendCommand(['GET', counter]));
        await client?.sendCommand(['SET', counter, String(before + 1)]);
        tokens.push(String(lock.fencingToken));
      });
    return tokens;
  },
  /** Takes a lock, has another caller wait for it, closes everything, and leaves the end to Node. */
  closeAll: async (key: string): Promise<string> => {
    await opened().acquire(key);
    const waiting = opened().acquire(key);
    const end = waiting.then(
      () => 'acquired',
      (error) => String(error.code),
    );
    await opened().isLocked(key);
    await opened().close();
    client?.destroy();
    setImmediate(() => {
      // Without the channel, and without what would end it when that is gone, nothing else is left.
      process.removeAllListeners('disconnect');
      process.disconnect();
    });
    return end;
  },
};

serve(handlers);
