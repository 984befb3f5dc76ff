import type { BatchingPort } from '../batching-port.ts';
import type { LockKeys } from '../keys.ts';
import { type BatchedScript, defineBatched } from './batched.ts';
import { HAND_OVER, QUEUE } from './queue.ts';

export const RELEASE: BatchedScript = defineBatched({
  args: 5,
  header: `-- Gives back a lock that is still its holder's: offers it to the first who waits, or deletes it.
--
-- KEYS[1] the lock, as for acquire
-- ARGV[1] holder
-- ARGV[2] what the keys beside the lock begin with, and
-- ARGV[3] what they end with, as for acquire
-- ARGV[4] 'waiting': the holder may stand in the queue itself, and leaves it
-- ARGV[5] the last fencing token that was used, if many that were reserved were not: else those to come
--         would be ahead of the clock, which alone says what comes next after a flush. '' for few
--
-- Answers 1 released; 0 there is no lock; -1 somebody else has it, which changes nothing
`,
  shared: '',
  steps: [
    // To compare.
    `
  return nil, redis.call('GET', KEYS[1])
`,
    `
  local me = ARGV[1]
  local is_mine = seen and string.sub(seen, 1, #me + 1) == me .. ':'
  local answer = is_mine and 1 or seen and -1 or 0
  if is_mine and ARGV[5] ~= '' then
    redis.call('SET', ARGV[2] .. 'fence' .. ARGV[3], ARGV[5], 'XX', 'KEEPTTL')
  end
  if ARGV[4] ~= 'waiting' then
    if not is_mine then return answer end
    -- Nobody waits: what is below need not even be defined.
    if string.sub(seen, -1) ~= '+' then return nil end
  end

  local before, after = ARGV[2], ARGV[3]
${QUEUE}${HAND_OVER}
  if ARGV[4] == 'waiting' then
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
    `
  redis.call('DEL', KEYS[1])
  return 1
`,
  ],
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
  { lock, before, after }: LockKeys,
  holder: string,
  of: ReleaseOf,
  lastToken?: bigint,
): Promise<unknown> {
  return port.call(RELEASE, lock, [holder, before, after, of, lastToken?.toString() ?? '']);
}

export function releaseOf(code: unknown): 'released' | 'deleted' | 'taken' {
  if (code === 1) return 'released';
  return code === 0 ? 'deleted' : 'taken';
}
