import type { CommandPort } from '@redcache/core';
import { defineScript, type Script } from '@redcache/core/toolkit';
import type { ReleaseOf } from '../../scripts/release.ts';
import { COUNTING, COUNTING_ARGS, COUNTING_KEYS, type Counting, runCounting } from './counting.ts';

export const COUNTED_RELEASE: Script = defineScript({
  keys: 2,
  lua: `-- Gives back a lease, an offer or a place in the queue, and offers what is free to those who wait.
--
${COUNTING_KEYS}; both are deleted
--         when nobody does
${COUNTING_ARGS}
-- ARGV[6] 'waiting': the member may stand in the queue, and leaves it
--
-- Answers 1 released; 0 the lease stands no more, which changes nothing for whoever holds the lock
${COUNTING}
-- Before the gate is looked at: one that is no gate any more ends the script there.
if ARGV[6] == 'waiting' then
  is_moved = ask('ZRANK', queue, me) == 0
  leave(me)
  touch(turn .. me)
  touch(next .. me)
end

local found = look()
if is_other(found) then return 0 end
local released = redis.call('ZREM', holders, me)
offer()
if longest_ms > 0 then keep_gate(found)
elseif redis.call('ZCARD', holders) == 0 then redis.call('DEL', KEYS[1]) end
return released
`,
});

/**
 * Gives back whatever the member has of the lock.
 *
 * Sends: EVALSHA `release` (2 keys), EVAL once on NOSCRIPT. Atomic: leave and offer in one script.
 * Safe to repeat: it never gives back what is another's.
 */
export async function release(
  port: CommandPort,
  of: Counting,
  which: ReleaseOf,
): Promise<'released' | 'deleted'> {
  return (await runCounting(port, COUNTED_RELEASE, of, which)) === 1 ? 'released' : 'deleted';
}
