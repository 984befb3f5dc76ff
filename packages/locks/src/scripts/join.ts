import type { CommandPort } from '@redcache/core';
import { defineScript, runScript, type Script } from '@redcache/core/toolkit';
import type { LockKeys } from '../keys.ts';
import { type AcquireWish, answerOf } from './acquire.ts';
import type { Answer } from './answer.ts';
import { FENCING, TOKEN_OUTLIVES_LEASE_MS } from './fencing.ts';
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
-- ARGV[3] key of the last fencing token; this and the keys below are in the slot of the lock
-- ARGV[4] how long the last token is remembered, in milliseconds
-- ARGV[5] how many tokens to reserve
-- ARGV[6] queue: holders that wait, by the time at which they came
-- ARGV[7] until when each of them has promised to ask again, by the server's clock
-- ARGV[8] what KEYS[2] begins with, for any holder
-- ARGV[9] what KEYS[3] begins with, for any holder
-- ARGV[10] how long after the end of the lease the asker may ask again, in milliseconds
-- ARGV[11] how long an offer stands, in milliseconds
-- ARGV[12] how much longer than promises the queue stands, in milliseconds
--
-- Answers {1, token, contended, echoes} and {-1, 0} as acquire does; {0, ms, place, echoes} held by another
--         for that long, where the asker stands in the queue now, 0 for the first, and how many
--         pushes of our own follow
${FENCING}${QUEUE}${HAND_OVER}
local me = ARGV[1]
local us = now_us()
local ms = math.floor(us / 1000)

-- GET so that this connection tracks them; before the lock is looked at, so that nothing is missed.
redis.call('GET', KEYS[2])
redis.call('GET', KEYS[3])
local value = redis.call('GET', KEYS[1])

local function take()
  redis.call('ZREM', ARGV[6], me)
  redis.call('HDEL', ARGV[7], me)
  local head = first(ARGV[6])
  local token = text(reserve(ARGV[3], ARGV[4], tonumber(ARGV[5]), us))
  redis.call('SET', KEYS[1], me .. ':' .. token .. (head and '+' or ''), 'PX', ARGV[2])
  if head then touch(ARGV[9] .. head) end
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
    local head = first(ARGV[6])
    if not head or head == me then return take() end
    if tonumber(redis.call('HGET', ARGV[7], head) or '0') >= ms then break end
    redis.call('ZREM', ARGV[6], head)
    redis.call('HDEL', ARGV[7], head)
  end
  left = tonumber(ARGV[11])
end

local stays_ms = math.max(left, 0) + tonumber(ARGV[10])
redis.call('ZADD', ARGV[6], 'NX', text(us), me)
redis.call('HSET', ARGV[7], me, text(ms + stays_ms))
local keep_ms = stays_ms + tonumber(ARGV[12])
for i = 6, 7 do
  if redis.call('PTTL', ARGV[i]) < keep_ms then redis.call('PEXPIRE', ARGV[i], keep_ms) end
end
local echoes = 1
if not value then
  hand_over(KEYS[1], ARGV[6], ARGV[7], ARGV[8], ARGV[9], left, ms)
elseif string.sub(value, -1) ~= '+' then
  -- Whoever holds it sees that others wait, and does not just delete it.
  redis.call('SET', KEYS[1], value .. '+', 'KEEPTTL')
else
  echoes = 0
end
-- GET because the writes above made the connection forget the key.
redis.call('GET', KEYS[1])
return {0, left, redis.call('ZRANK', ARGV[6], me) or 0, echoes}
`,
});

/**
 * Takes the lock for `holder`, or stands in the queue of those who wait for it; there it stays for as
 * long as it asks again before the lock's end as answered, and a grace.
 *
 * Sends: EVALSHA `join` (3 keys), EVAL once on NOSCRIPT. Atomic: look, compare and set in one script.
 * Time: as `acquire`.
 * Safe to repeat: a holder stands in the queue once, and keeps its place.
 */
export async function join(
  port: CommandPort,
  keys: LockKeys,
  { holder, leaseMs, tokens }: AcquireWish,
): Promise<Answer> {
  const { lock, fence, queue, alive, turn, next } = keys;
  const times = [PROMISE_GRACE_MS, OFFER_MS, QUEUE_OUTLIVES_MS].map(String);
  const rememberMs = leaseMs + TOKEN_OUTLIVES_LEASE_MS;
  const args = [
    ...[holder, String(leaseMs), fence, String(rememberMs), String(tokens)],
    ...[queue, alive, turn, next, ...times],
  ];
  const reply = await runScript(port, JOIN, [lock, turn + holder, next + holder], args);
  return answerOf(reply, tokens);
}
