/** How long a lock is kept for the waiter that it was offered to. */
export const OFFER_MS = 1_000;

/** How long after a waiter should have asked again it counts as dead. */
export const PROMISE_GRACE_MS = 3_000;

/** A queue outlives the promises of those in it. */
export const QUEUE_OUTLIVES_MS = 60_000;

/**
 * Lua for the queue of waiting processes: a sorted set of holder ids by the time at which they came,
 * and a hash that says until when each has promised to have asked again. One that has not is dead.
 *
 * Each has two keys of its own that nobody else reads, so that one waiter is woken and no other:
 * `turn` is touched when the lock is offered to it, `next` when the lock is offered to the one
 * before it, so that it can look after a while whether that one was still alive.
 *
 * Expects `before` and `after`, which the names of the keys beside the lock begin and end with.
 */
export const QUEUE: string = `
local function touch(key)
  redis.call('SET', key, '')
  redis.call('DEL', key)
end

local queue = before .. 'queue' .. after
local alive = before .. 'alive' .. after
local turn = before .. 'turn' .. after .. ':'
local next = before .. 'next' .. after .. ':'

local function take_first(now_ms)
  while true do
    local id = redis.call('ZPOPMIN', queue)[1]
    if not id then return nil end
    local promised_ms = tonumber(redis.call('HGET', alive, id) or '0')
    redis.call('HDEL', alive, id)
    if promised_ms >= now_ms then return id end
  end
end

local function first() return redis.call('ZRANGE', queue, 0, 0)[1] end
`;

/** Lua that offers the mutex KEYS[1] to the first who waits for it, or frees it; after {@link QUEUE}. */
export const HAND_OVER: string = `
local function hand_over(now_ms)
  local id = take_first(now_ms)
  if not id then
    redis.call('DEL', KEYS[1])
    return
  end
  local second = first()
  redis.call('SET', KEYS[1], id .. ':0' .. (second and '+' or ''), 'PX', ${OFFER_MS})
  touch(turn .. id)
  if second then touch(next .. second) end
end
`;
