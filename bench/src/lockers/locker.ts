/** A lock that is held. */
export interface Held {
  /** Answers what the library answers; 'lost' if it was not held any more. */
  release(): Promise<unknown>;
}

/** One way to lock, over one connection of its own. It ends with its process at the latest. */
export interface Locker {
  /** Waits for as long as it takes. */
  acquire(key: string): Promise<Held>;
}

/** What is measured. `raw`: the least that a lock has to send; it cannot wait. */
export type Library = 'raw' | 'redcache' | Peer;
/** Those that can be left to contend, and one that only takes locks that are free. */
export type Peer = WaitingPeer | 'simple-redis-mutex';
export type WaitingPeer = 'redlock' | 'sesamecare' | 'redis-semaphore' | 'redlock-universal';

/**
 * How often those who wait ask again: as the library does if nothing is said, or so often that a
 * hand-over is short. Only those who poll make a difference.
 */
export type Pace = 'default' | 'tuned';

type Opener = (url: string, pace: Pace) => Promise<Locker>;

/** Each is loaded where it is measured: what one process does not need it does not pay for. */
const OPENERS: Readonly<Record<Library, () => Promise<Opener>>> = {
  raw: async () => (await import('./raw.ts')).openRaw,
  redcache: async () => (await import('./redcache.ts')).openRedcache,
  redlock: async () => (await import('./redlock.ts')).openRedlock,
  sesamecare: async () => (await import('./sesamecare-redlock.ts')).openSesamecareRedlock,
  'redis-semaphore': async () => (await import('./redis-semaphore.ts')).openRedisSemaphore,
  'redlock-universal': async () => (await import('./redlock-universal.ts')).openRedlockUniversal,
  'simple-redis-mutex': async () => (await import('./simple-redis-mutex.ts')).openSimpleRedisMutex,
};

export async function openLocker(library: Library, pace: Pace, url: string): Promise<Locker> {
  const open = await OPENERS[library]();
  return open(url, pace);
}
