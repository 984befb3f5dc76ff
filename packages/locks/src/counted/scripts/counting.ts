import type { CommandPort } from '@redcache/core';
import { runScript, type Script } from '@redcache/core/toolkit';
import type { Wish } from '../../bid/bid.ts';
import { beside, type LockKeys } from '../../keys.ts';
import { FENCING } from '../../scripts/fencing.ts';
import { OFFER_MS, QUEUE } from '../../scripts/queue.ts';
import type { Kind } from '../kind.ts';

/** The gate outlives every lease by half of this at least, and so is hardly ever written. */
export const GATE_OUTLIVES_MS = 3_600_000;

/**
 * The keys of all of them: the gate, and with it the holders. Where a slot moves key by key a cluster
 * refuses those that have only one of the two; else nobody would seem to hold it.
 */
export const COUNTING_KEYS: string = `-- KEYS[1] the gate: a hash that says what kind of lock it is, while anybody holds it
-- KEYS[2] holders: members by the end of their lease, in milliseconds of the server's clock`;

export function countingKeys(keys: LockKeys): readonly string[] {
  return [keys.lock, beside(keys, 'holders')];
}

/** What the headers of the scripts say of the arguments that all of them are given. */
export const COUNTING_ARGS: string = `-- ARGV[1] member: the holder id of the one who asks, after 'w:' if it wants the lock alone
-- ARGV[2] kind of the lock, as it stands in the gate
-- ARGV[3] how many may hold it beside each other
-- ARGV[4] what the keys beside the gate begin with, which are in its slot, and
-- ARGV[5] what they end with`;

/**
 * Lua of locks that several may hold at once.
 *
 * The gate is a hash in the key of the lock. It says what kind of lock stands there, and is written
 * with the first who holds it, deleted with the last, and otherwise left alone: all holders track
 * it, so that its loss is pushed to each of them while others come and go unheard. Without the gate
 * nobody holds anything. That it is no string keeps out whoever takes the key for a plain lock.
 *
 * Who holds it stands in a sorted set; whoever comes by removes those whose lease has ended, and
 * gives what is free to the first of the queue, and on as long as there is enough. Such an offer is
 * a lease like any other, and turns into the real one when the waiter asks again. Nobody overtakes
 * the queue.
 *
 * The gate is read, written at most once after the last decision, and read again: so one push of our
 * own follows if it was written, and none if it was not.
 */
export const COUNTING: string = `
local before, after = ARGV[4], ARGV[5]
${FENCING}${QUEUE}
local me, kind, permits = ARGV[1], ARGV[2], tonumber(ARGV[3])
local holders = KEYS[2]
local us = now_us()
local ms = math.floor(us / 1000)
-- The longest lease given by this script, and whether the queue has another head.
local longest_ms = 0
local is_moved = false

local function is_writer(id) return string.sub(id, 1, 2) == 'w:' end

-- HGET so that this connection tracks the gate; first, so that nothing after it is missed.
local function look()
  local found = redis.call('HGET', KEYS[1], 'redcache:counted')
  if found then redis.call('ZREMRANGEBYSCORE', holders, '-inf', text(ms))
  else redis.call('DEL', holders) end
  return found
end

-- The first of those who wait and are alive.
local function head()
  while true do
    local id = first()
    if not id or promised(id) >= ms then return id end
    leave(id)
    is_moved = true
  end
end

-- A hash of somebody else's, or another kind of lock that somebody holds or waits for.
local function is_other(found)
  if found == kind then return false end
  if not found then return redis.call('EXISTS', KEYS[1]) == 1 end
  return redis.call('ZCARD', holders) > 0 or head() ~= nil
end

local function fits(id)
  local other = redis.call('ZRANGE', holders, 0, 0)[1]
  if not other then return true end
  if is_writer(id) or is_writer(other) then return false end
  return redis.call('ZCARD', holders) < permits
end

local function keep(key, for_ms)
  if redis.call('PTTL', key) >= for_ms + ${GATE_OUTLIVES_MS / 2} then return false end
  redis.call('PEXPIRE', key, text(for_ms + ${GATE_OUTLIVES_MS}))
  return true
end

local function let_in(id, for_ms)
  redis.call('ZADD', holders, text(ms + for_ms), id)
  keep(holders, for_ms)
  longest_ms = math.max(longest_ms, for_ms)
end

-- Offers what is free to those who have waited longest.
local function offer()
  local id = head()
  while id and fits(id) do
    leave(id)
    let_in(id, ${OFFER_MS})
    if id ~= me then touch(turn .. id) end
    is_moved = true
    id = head()
  end
  if is_moved and id and id ~= me then touch(next .. id) end
end

local function contended() return first() and 1 or 0 end

-- The one place where the gate is written. Answers how many pushes of our own follow.
local function keep_gate(found)
  if longest_ms == 0 then return 0 end
  if found == kind and redis.call('PTTL', KEYS[1]) >= longest_ms + ${GATE_OUTLIVES_MS / 2} then return 0 end
  -- No read between the two writes: each read would let the next write push once more.
  redis.call('HSET', KEYS[1], 'redcache:counted', kind)
  redis.call('PEXPIRE', KEYS[1], text(longest_ms + ${GATE_OUTLIVES_MS}))
  -- HGET because the writes above made the connection forget the gate.
  redis.call('HGET', KEYS[1], 'redcache:counted')
  return 1
end
`;

/** One kind of lock on one key, for one who asks. */
export interface Counting {
  readonly keys: LockKeys;
  readonly kind: Kind;
  readonly member: string;
}

/** ARGV[1] to ARGV[5]. */
export function countingArgs({ keys, kind, member }: Counting): readonly string[] {
  return [member, kind.name, String(kind.permits), keys.before, keys.after];
}

/** ARGV[6] and ARGV[7] where a lease is asked for: its milliseconds, and how many tokens to reserve. */
export function wishArgs({ leaseMs, tokens }: Wish): readonly [string, string] {
  return [String(leaseMs), String(tokens)];
}

/** Runs a script of those that know the gate and the holders alone. `more`: from ARGV[6] on. */
export function runCounting(
  port: CommandPort,
  script: Script,
  of: Counting,
  ...more: readonly string[]
): Promise<unknown> {
  return runScript(port, script, countingKeys(of.keys), [...countingArgs(of), ...more]);
}
