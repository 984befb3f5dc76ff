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
 * Somebody else's value under the name of one of the two is as good as none for all but those who are
 * to stand there: whoever holds the lock has to be able to give it back.
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

-- Nothing of a key that holds another type. Any other error ends the script, as it is.
local function ask(...)
  local answer = redis.pcall(...)
  if type(answer) ~= 'table' or not answer.err then return answer end
  if string.find(answer.err, 'WRONGTYPE', 1, true) then return nil end
  return redis.call(...)
end

local function promised(id) return tonumber(ask('HGET', alive, id) or '0') end

local function leave(id)
  ask('ZREM', queue, id)
  ask('HDEL', alive, id)
end

local function first() return (ask('ZRANGE', queue, 0, 0) or {})[1] end

local function take_first(now_ms)
  while true do
    local id = (ask('ZPOPMIN', queue) or {})[1]
    if not id then return nil end
    local promised_ms = promised(id)
    ask('HDEL', alive, id)
    if promised_ms >= now_ms then return id end
  end
end
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
