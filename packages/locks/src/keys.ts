import { besideOf, type Beside as KeysBeside, shortTag, slotOf } from '@redcache/core/toolkit';

/** Of a cluster. */
const SLOTS = 16_384;

/** The keys of one lock in Redis: its own, and how those beside it are called. */
export interface LockKeys extends KeysBeside {
  readonly lock: string;
}

/**
 * What stands beside a lock. `fence`: the last fencing token. `queue`: the processes that wait, by the
 * time at which they came; `alive`: until when each has promised to ask again. `turn` and `next`, each
 * followed by ':' and a holder: touched when the lock is offered to it, or to the one before it.
 * `holders`: who holds it, where several may.
 */
export type Beside = 'fence' | 'queue' | 'alive' | 'turn' | 'next' | 'holders';

export function beside({ before, after }: LockKeys, name: Beside): string {
  return before + name + after;
}

/** What scripts name the keys beside a lock by: the tag between their braces, '' for the lock itself. */
export function tagOf({ before, after }: LockKeys): string {
  return after === '' ? '' : before.slice(1, -2);
}

/** The key that is touched for one waiter alone. */
export function wakeKey(keys: LockKeys, name: 'turn' | 'next', holder: string): string {
  return `${beside(keys, name)}:${holder}`;
}

/** The keys of the lock that its users call `key`. */
export function lockKeys(prefix: string, key: string): LockKeys {
  return keysOf(prefix + key);
}

/**
 * The keys of the same lock in so many places, for one that is held by whoever has a majority of them.
 * The first is that of {@link lockKeys}; the slots of the others are as far apart as can be, so that in
 * a cluster they are on different servers. They begin with a tag of their own, whatever braces the
 * user's key has.
 */
export function spreadKeys(prefix: string, key: string, places: number): readonly LockKeys[] {
  const first = lockKeys(prefix, key);
  if (places === 1) return [first];
  const slot = slotOf(first.lock);
  const others = Array.from({ length: places - 1 }, (_, i) => {
    const apart = Math.round(((i + 1) * SLOTS) / places);
    return keysOf(`{${shortTag((slot + apart) % SLOTS)}}:${i + 1}:${first.lock}`);
  });
  return [first, ...others];
}

function keysOf(lock: string): LockKeys {
  return { lock, ...besideOf(lock) };
}
