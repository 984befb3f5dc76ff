import type { BatchingPort } from '../batching-port.ts';
import { type LockKeys, tagOf } from '../keys.ts';
import { type BatchedScript, defineBatched } from './batched.ts';
import { BESIDE } from './beside.ts';
import { HAND_OVER, QUEUE } from './queue.ts';

export const RELEASE: BatchedScript = defineBatched({
  args: 4,
  header: `-- Gives back a lock that is still its holder's: offers it to the first who waits, or deletes it.
--
-- KEYS[1] the lock, as for acquire
-- ARGV[1] 'waiting': the holder may stand in the queue itself, and leaves it
-- ARGV[2] the last fencing token that was used, if many that were reserved were not: else those to come
--         would be ahead of the clock, which alone says what comes next after a flush. '' for few
-- ARGV[3] the tag of the keys beside the lock, as for acquire
-- ARGV[4] holder
--
-- Answers 1 released; 0 there is no lock; -1 somebody else has it, which changes nothing
`,
  shared: `${BESIDE}
local free = {}
`,
  steps: {
    second: `
  local me = ARGV[4]
  value = value or redis.call('GET', KEYS[1])
  local is_mine = value and string.sub(value, 1, #me + 1) == me .. ':'
  local answer = is_mine and 1 or value and -1 or 0
  if is_mine and ARGV[2] ~= '' then
    redis.call('SET', beside(KEYS[1], ARGV[3], 'fence'), ARGV[2], 'XX', 'KEEPTTL')
  end
  if ARGV[1] ~= 'waiting' then
    if not is_mine then return answer end
    -- Nobody waits: what is below need not even be defined.
    if string.sub(value, -1) ~= '+' then
      free[#free + 1] = KEYS[1]
      return 1
    end
  end

  local before, after = sides(KEYS[1], ARGV[3])
${QUEUE}${HAND_OVER}
  if ARGV[1] == 'waiting' then
    local rank = ask('ZRANK', queue, me)
    leave(me)
    touch(turn .. me)
    touch(next .. me)
    local head = rank == 0 and first()
    if head then touch(next .. head) end
  end
  if is_mine then
    local now = redis.call('TIME')
    hand_over(now[1] * 1000 + math.floor(now[2] / 1000))
  end
  return answer
`,
    // After every read, or the connection would track again what is gone.
    last: `
if #free > 0 then redis.call('DEL', unpack(free)) end
`,
  },
});

/** `waiting`: the holder may stand in the queue, and leaves it. */
export type ReleaseOf = 'holding' | 'waiting';

/**
 * Frees the lock if `holder` still has it; the first who waits in the queue is offered it in the same
 * step, and no other waiter hears of it. {@link releaseOf} reads the reply.
 *
 * `lastToken`: the last that was used, if many that were reserved were not.
 *
 * Sends: EVALSHA `release` (1 key, or with others of the same turn one each), EVAL once on NOSCRIPT.
 * Atomic: compare and hand over in one script.
 * Safe to repeat: it never frees the lock of somebody else.
 */
export function release(
  port: BatchingPort,
  keys: LockKeys,
  holder: string,
  of: ReleaseOf,
  lastToken?: bigint,
): Promise<unknown> {
  const shared = [of, lastToken?.toString() ?? '', tagOf(keys)];
  return port.call(RELEASE, keys.lock, shared, holder);
}

export function releaseOf(code: unknown): 'released' | 'deleted' | 'taken' {
  if (code === 1) return 'released';
  return code === 0 ? 'deleted' : 'taken';
}
