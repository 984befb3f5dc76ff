import { setImmediate as turn } from 'node:timers/promises';
import { createTrackingCache } from '@redcache/core';
import { LRUCache } from 'lru-cache';
import type { Work } from '../roles.ts';

export type Holder = 'Map' | 'lru-cache' | 'redcache';

const VALUE_CHARS = 100;

/**
 * Is given as many entries as it is asked for, and answers how many bytes it has grown by. Arguments:
 * {@link Holder}, how many, and how many of them it may keep.
 */
export async function memoryRole(...args: string[]): Promise<Work> {
  const [holder, count, bound] = [args[0] as Holder, Number(args[1]), Number(args[2])];
  return async () => {
    const before = await bytesUsed();
    const held = await fillers[holder](count, bound);
    const bytes = (await bytesUsed()) - before;
    // Used here, so that it was no garbage when it was measured.
    const size = Math.min(count, bound);
    // Which of too many it keeps is its own affair.
    if (count <= bound && held.get(keyOf(count - 1)) !== textOf(count - 1))
      throw new Error('the last is not there');
    if (held.size() !== size) throw new Error(`${held.size()} entries are held, not ${size}`);
    return bytes;
  };
}

interface Held {
  get(key: string): unknown;
  size(): number;
}

const fillers: Readonly<Record<Holder, (count: number, bound: number) => Promise<Held>>> = {
  Map: async (count) => {
    const map = new Map<string, string>();
    for (let i = 0; i < count; i += 1) map.set(keyOf(i), textOf(i));
    return { get: (key) => map.get(key), size: () => map.size };
  },
  'lru-cache': async (count, bound) => {
    const lru = new LRUCache<string, string>({ max: bound });
    for (let i = 0; i < count; i += 1) lru.set(keyOf(i), textOf(i));
    return { get: (key) => lru.get(key), size: () => lru.size };
  },
  redcache: fillRedcache,
};

/** As a host that is connected would: through a guard for each reply. */
async function fillRedcache(count: number, bound: number): Promise<Held> {
  const cache = createTrackingCache({ maxEntries: bound, maxBytes: Number.MAX_SAFE_INTEGER });
  cache.session.dispatch({ is: 'connected' });
  for (let i = 0; i < count; i += 1) {
    const key = keyOf(i);
    const value = textOf(i);
    const guard = cache.guard([key]);
    cache.fill(guard, key, value, { kind: 'present', remaining: 'none', valueBytes: value.length });
  }
  return { get: (key) => cache.lookup(key)?.value, size: () => cache.stats().entries };
}

/** 20 characters, flat: a string that was put together of parts would hold on to them. */
const keyOf = (i: number): string => flat(`key:${String(i).padStart(16, '0')}`);
const textOf = (i: number): string => flat(String(i).padStart(VALUE_CHARS, 'x'));

const flat = (text: string): string => Buffer.from(text).toString('latin1');

/** With what lies beside the heap: lru-cache keeps its order in typed arrays. */
async function bytesUsed(): Promise<number> {
  for (let i = 0; i < 3; i += 1) {
    globalThis.gc?.();
    await turn();
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
