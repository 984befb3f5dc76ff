import type { CommandPort } from '@redcache/core';
import { defineScript, runScript, type Script } from '@redcache/core/toolkit';
import { type LockKeys, wakeKey } from '../keys.ts';
import type { AcquireWish } from './acquire.ts';
import { FENCING } from './fencing.ts';
import { HAND_OVER, OFFER_MS, PROMISE_GRACE_MS, QUEUE, QUEUE_OUTLIVES_MS } from './queue.ts';

export const JOIN: Script = defineScript({
  keys: 3,
  lua: `-- Takes the lock if it is free and nobody stands before the asker, or was offered to it; else
-- stands in the queue.
--
-- KEYS[1] the lock, as for acquire
-- KEYS[2] touched when the lock is offered to the asker
-- KEYS[3] touched when it is offered to the one before
-- ARGV[1] holder: the id of the one who asks
-- ARGV[2] lease in milliseconds
-- ARGV[3] what the keys beside the lock begin with, and
-- ARGV[4] what they end with, as for acquire
-- ARGV[5] how many tokens to reserve
--
-- Answers {1, token, contended, echoes} and {-1, 0} as acquire does; {0, ms, place, echoes} held by another
--         for that long, where the asker stands in the queue now, 0 for the first, and how many
--         pushes of our own follow
local before, after = ARGV[3], ARGV[4]
${FENCING}${QUEUE}${HAND_OVER}
local me = ARGV[1]
local us = now_us()
local ms = math.floor(us / 1000)

-- GET so that this connection tracks them; before the lock is looked at, so that nothing is missed.
redis.call('GET', KEYS[2])
redis.call('GET', KEYS[3])
local value = redis.call('GET', KEYS[1])

local function take()
  leave(me)
  local head = first()
  local token = text(reserve(before .. 'fence' .. after, ARGV[2], tonumber(ARGV[5]), us))
  redis.call('SET', KEYS[1], me .. ':' .. token .. (head and '+' or ''), 'PX', ARGV[2])
  if head then touch(next .. head) end
  -- GET because the write above made the connection forget the key: the holder hears what others do.
  redis.call('GET', KEYS[1])
  -- Nobody needs to hear of these any more, so the server need not remember that they were read.
  touch(KEYS[2])
  touch(KEYS[3])
  return {1, token, head and 1 or 0, 1}
end

local left
if value then
  if string.sub(value, 1, #me + 1) == me .. ':' then return take() end
  left = redis.call('PTTL', KEYS[1])
  if left == -1 and not string.find(value, '^[%x-]+:%d+%+?$') then return {-1, 0} end
else
  -- It ended or was deleted, so nobody has handed it over: whoever comes by does.
  while true do
    local head = first()
    if not head or head == me then return take() end
    if promised(head) >= ms then break end
    leave(head)
  end
  left = ${OFFER_MS}
end

local stays_ms = math.max(left, 0) + ${PROMISE_GRACE_MS}
redis.call('ZADD', queue, 'NX', text(us), me)
redis.call('HSET', alive, me, text(ms + stays_ms))
local keep_ms = stays_ms + ${QUEUE_OUTLIVES_MS}
if redis.call('PTTL', queue) < keep_ms then redis.call('PEXPIRE', queue, keep_ms) end
if redis.call('PTTL', alive) < keep_ms then redis.call('PEXPIRE', alive, keep_ms) end
local echoes = 1
if not value then
  hand_over(ms)
elseif string.sub(value, -1) ~= '+' then
  -- Whoever holds it sees that others wait, and does not just delete it.
  redis.call('SET', KEYS[1], value .. '+', 'KEEPTTL')
else
  echoes = 0
end
-- GET because the writes above made the connection forget the key.
redis.call('GET', KEYS[1])
return {0, left, redis.call('ZRANK', queue, me) or 0, echoes}
`,
});

/**
 * Takes the lock for `holder`, or stands in the queue of those who wait for it; there it stays for as
 * long as it asks again before the lock's end as answered, and a grace. The reply is read as that of
 * `acquire`.
 *
 * Sends: EVALSHA `join` (3 keys), EVAL once on NOSCRIPT. Atomic: look, compare and set in one script.
 * Time: as `acquire`.
 * Safe to repeat: a holder stands in the queue once, and keeps its place.
 */
export function join(
  port: CommandPort,
  keys: LockKeys,
  { holder, leaseMs, tokens }: AcquireWish,
): Promise<unknown> {
  const { lock, before, after } = keys;
  const declared = [lock, wakeKey(keys, 'turn', holder), wakeKey(keys, 'next', holder)];
  const args = [holder, String(leaseMs), before, after, String(tokens)];
  return runScript(port, JOIN, declared, args);
}
