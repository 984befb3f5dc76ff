import type { CommandPort } from '@redcache/core';
import { defineScript, runScript, type Script } from '@redcache/core/toolkit';
import { beside, type LockKeys } from '../keys.ts';

export const INSPECT: Script = defineScript({
  keys: 1,
  lua: `-- Tells who has a lock, and who waits for it in the queue. Writes nothing.
--
-- KEYS[1] the lock, as for acquire
-- ARGV[1] queue: holders that wait, by the time at which they came; in the slot of the lock
-- ARGV[2] how many of them to name at most
--
-- Answers {value, ms, waiting, holder, us, holder, us, …}: what the lock holds, '' for nothing, for how
--         long, -1 without end; how many wait, and those named, with how long they have waited
--
-- GET first: a key that ends between it and PTTL answers as free.
local value = redis.call('GET', KEYS[1])
local answer = {value or '', redis.call('PTTL', KEYS[1]), redis.call('ZCARD', ARGV[1])}
local now = redis.call('TIME')
local us = now[1] * 1000000 + now[2]
local named = redis.call('ZRANGE', ARGV[1], 0, tonumber(ARGV[2]) - 1, 'WITHSCORES')
for i = 1, #named, 2 do
  answer[#answer + 1] = named[i]
  answer[#answer + 1] = math.max(0, us - tonumber(named[i + 1]))
end
return answer
`,
});

export interface Inspected {
  /** What stands in the key of the lock; `undefined` for nothing. */
  readonly value: string | undefined;
  /** `Infinity` without end. */
  readonly remainingMs: number;
  /** How many processes wait, and the first of them. */
  readonly waiting: number;
  readonly first: readonly { readonly holder: string; readonly waitedMs: number }[];
}

/**
 * Looks at a lock and its queue; names the first `most` of those who wait. {@link inspectedIn} reads
 * the reply.
 *
 * Sends: EVALSHA `inspect` (1 key), EVAL once on NOSCRIPT.
 */
export function inspect(port: CommandPort, keys: LockKeys, most: number): Promise<unknown> {
  return runScript(port, INSPECT, [keys.lock], [beside(keys, 'queue'), String(most)]);
}

export function inspectedIn(reply: unknown): Inspected {
  const [value, pttl, waiting, ...named] = reply as [string, number, number, ...unknown[]];
  const first: { holder: string; waitedMs: number }[] = [];
  for (let i = 0; i < named.length; i += 2)
    first.push({ holder: String(named[i]), waitedMs: Number(named[i + 1]) / 1_000 });
  return {
    value: value === '' ? undefined : value,
    remainingMs: pttl === -1 ? Number.POSITIVE_INFINITY : Math.max(0, pttl),
    waiting,
    first,
  };
}
