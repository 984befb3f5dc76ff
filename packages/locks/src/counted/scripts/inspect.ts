import type { CommandPort } from '@redcache/core';
import { defineScript, runScript, type Script } from '@redcache/core/toolkit';
import { beside, type LockKeys } from '../../keys.ts';

export const COUNTED_INSPECT: Script = defineScript({
  keys: 1,
  lua: `-- Tells who holds a lock that several may hold, and who waits for it. Writes nothing.
--
-- KEYS[1] the gate, as for take
-- ARGV[1] holders: members by the end of their lease, in the slot of the gate
-- ARGV[2] queue: members that wait, by the time at which they came, in the slot of the gate
-- ARGV[3] how many of each to name at most
--
-- Answers {kind, holding, waiting, {member, ms, …}, {member, us, …}}: what stands in the gate, '' for
--         nothing; how many hold it and how many wait; those named, with how long their lease still
--         stands, and with how long they have waited
local now = redis.call('TIME')
local us = now[1] * 1000000 + now[2]
local ms = math.floor(us / 1000)
local kind = redis.call('HGET', KEYS[1], 'redcache:counted')
local last = tonumber(ARGV[3]) - 1
local holding = kind and redis.call('ZCOUNT', ARGV[1], string.format('(%.0f', ms), '+inf') or 0
local first = {}
if holding > 0 then
  local named = redis.call('ZRANGEBYSCORE', ARGV[1], string.format('(%.0f', ms), '+inf',
    'WITHSCORES', 'LIMIT', 0, last + 1)
  for i = 1, #named, 2 do
    first[i] = named[i]
    first[i + 1] = tonumber(named[i + 1]) - ms
  end
end
local waiting = redis.call('ZRANGE', ARGV[2], 0, last, 'WITHSCORES')
for i = 2, #waiting, 2 do waiting[i] = math.max(0, us - tonumber(waiting[i])) end
return {kind or '', holding, redis.call('ZCARD', ARGV[2]), first, waiting}
`,
});

export interface CountedInspected {
  /** What stands in the gate; `undefined` for nothing. */
  readonly kind: string | undefined;
  readonly holding: number;
  readonly waiting: number;
  readonly firstHolding: readonly (readonly [member: string, remainingMs: number])[];
  readonly firstWaiting: readonly (readonly [member: string, waitedUs: number])[];
}

/**
 * Looks at a lock that several may hold, and its queue; names the first `most` of each.
 *
 * Sends: EVALSHA `inspect` (1 key), EVAL once on NOSCRIPT.
 */
export async function inspect(
  port: CommandPort,
  keys: LockKeys,
  most: number,
): Promise<CountedInspected> {
  const args = [beside(keys, 'holders'), beside(keys, 'queue'), String(most)];
  const reply = await runScript(port, COUNTED_INSPECT, [keys.lock], args);
  const [kind, holding, waiting, first, next] = reply as readonly [
    string,
    number,
    number,
    readonly unknown[],
    readonly unknown[],
  ];
  return {
    kind: kind === '' ? undefined : kind,
    ...{ holding, waiting },
    firstHolding: pairs(first),
    firstWaiting: pairs(next),
  };
}

function pairs(flat: readonly unknown[]): readonly (readonly [string, number])[] {
  const result: [string, number][] = [];
  for (let i = 0; i < flat.length; i += 2) result.push([String(flat[i]), Number(flat[i + 1])]);
  return result;
}
