import { slotOf, tagFor } from '@redcache/core/toolkit';

/** The keys of one lock in Redis, all in one slot. */
export interface LockKeys {
  readonly lock: string;
  /** Where the last fencing token stands. */
  readonly fence: string;
  /** Processes that wait, by the time at which they came. */
  readonly queue: string;
  /** Until when each of them has promised to ask again. */
  readonly alive: string;
  /** Followed by a holder: the key that is touched when the lock is offered to it. */
  readonly turn: string;
  /** Followed by a holder: the key that is touched when the lock is offered to the one before it. */
  readonly next: string;
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
  const lock = `${prefix}${key}`;
  const beside = namesBeside(lock);
  return {
    lock,
    fence: beside('fence'),
    queue: beside('queue'),
    alive: beside('alive'),
    turn: `${beside('turn')}:`,
    next: `${beside('next')}:`,
  };
}

function namesBeside(lock: string): (name: string) => string {
  const tag = hashTag(lock);
  if (tag !== undefined) return (name) => `{${tag}}:${name}:${lock}`;
  if (!lock.includes('}')) return (name) => `{${lock}}:${name}`;
  const found = tagForSlot(slotOf(lock));
  return (name) => `{${found}}:${name}:${lock}`;
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
