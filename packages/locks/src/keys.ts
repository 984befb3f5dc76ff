import { slotOf, tagFor } from '@redcache/core/toolkit';

/** Of a cluster. */
const SLOTS = 16_384;

/**
 * The keys of one lock in Redis. Those beside the lock are called `before` + name + `after`, and are in
 * its slot.
 */
export interface LockKeys {
  readonly lock: string;
  readonly before: string;
  readonly after: string;
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

/** The key that is touched for one waiter alone. */
export function wakeKey(keys: LockKeys, name: 'turn' | 'next', holder: string): string {
  return `${beside(keys, name)}:${holder}`;
}

/**
 * The keys of the lock that its users call `key`.
 *
 * A cluster puts a key where the text between its first '{' and the next '}' says, if there is any,
 * else where the whole key says. The keys beside the lock begin with a tag that leads to the same
 * slot: the lock's own, else the whole lock key, and where that can't stand between braces a number
 * found for the slot. They begin with a brace, so they are no lock's key unless the prefix does too.
 */
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
  const slot = slotOf(first.lock);
  const others = Array.from({ length: places - 1 }, (_, i) => {
    const apart = Math.round(((i + 1) * SLOTS) / places);
    return keysOf(`{${tagForSlot((slot + apart) % SLOTS)}}:${i + 1}:${first.lock}`);
  });
  return [first, ...others];
}

function keysOf(lock: string): LockKeys {
  const tag = hashTag(lock);
  if (tag !== undefined) return { lock, before: `{${tag}}:`, after: `:${lock}` };
  if (!lock.includes('}')) return { lock, before: `{${lock}}:`, after: '' };
  return { lock, before: `{${tagForSlot(slotOf(lock))}}:`, after: `:${lock}` };
}

/** The part of a key that decides on its slot, if it is not the whole key. */
function hashTag(key: string): string | undefined {
  const open = key.indexOf('{');
  const close = open < 0 ? -1 : key.indexOf('}', open + 1);
  return close > open + 1 ? key.slice(open + 1, close) : undefined;
}

/** Tags found so far, by slot: as many as there are slots at most. */
const tags = new Map<number, string>();

function tagForSlot(slot: number): string {
  let tag = tags.get(slot);
  if (tag === undefined) {
    tag = tagFor(slot);
    tags.set(slot, tag);
  }
  return tag;
}
