import type { CommandPort } from '@redcache/core';
import { defineScript, runScript, type Script } from '@redcache/core/toolkit';
import type { LockKeys } from '../keys.ts';
import { HAND_OVER, OFFER_MS, QUEUE } from './queue.ts';

export const RELEASE: Script = defineScript({
  keys: 1,
  lua: `-- Gives back a lock that is still its holder's: offers it to the first who waits, or deletes it.
--
-- KEYS[1] the lock, as for acquire
-- ARGV[1] holder
-- ARGV[2] queue: holders that wait; this and the keys below are in the slot of the lock
-- ARGV[3] until when each of them has promised to ask again, by the server's clock
-- ARGV[4] what the key begins with that is touched when the lock is offered to a holder
-- ARGV[5] what the key begins with that is touched when it is offered to the one before
-- ARGV[6] how long an offer stands, in milliseconds
-- ARGV[7] '1': the holder may stand in the queue itself, and leaves it
--
-- Answers 1 released; 0 there is no lock; -1 somebody else has it, which changes nothing
${QUEUE}${HAND_OVER}
local me = ARGV[1]
if ARGV[7] == '1' then
  local rank = redis.call('ZRANK', ARGV[2], me)
  redis.call('ZREM', ARGV[2], me)
  redis.call('HDEL', ARGV[3], me)
  touch(ARGV[4] .. me)
  touch(ARGV[5] .. me)
  local head = rank == 0 and first(ARGV[2])
  if head then touch(ARGV[5] .. head) end
end

-- GET to compare.
local value = redis.call('GET', KEYS[1])
if not value then return 0 end
if string.sub(value, 1, #me + 1) ~= me .. ':' then return -1 end
if string.sub(value, -1) == '+' then
  local now = redis.call('TIME')
  local ms = now[1] * 1000 + math.floor(now[2] / 1000)
  hand_over(KEYS[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ms)
else
  redis.call('DEL', KEYS[1])
end
return 1
`,
});

/** `waiting`: the holder may stand in the queue, and leaves it. */
export interface ReleaseOptions {
  readonly waiting: boolean;
}

/**
 * Frees the lock if `holder` still has it; the first who waits in the queue is offered it in the same
 * step, and no other waiter hears of it.
 *
 * Sends: EVALSHA `release` (1 key), EVAL once on NOSCRIPT. Atomic: compare and hand over in one script.
 * Safe to repeat: it never frees the lock of somebody else.
 */
export async function release(
  port: CommandPort,
  { lock, queue, alive, turn, next }: LockKeys,
  holder: string,
  { waiting }: ReleaseOptions = { waiting: false },
): Promise<'released' | 'deleted' | 'taken'> {
  const args = [holder, queue, alive, turn, next, String(OFFER_MS), waiting ? '1' : '0'];
  const code = await runScript(port, RELEASE, [lock], args);
  if (code === 1) return 'released';
  return code === 0 ? 'deleted' : 'taken';
}
