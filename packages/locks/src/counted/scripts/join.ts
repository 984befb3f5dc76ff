import type { CommandPort } from '@redcache/core';
import { defineScript, runScript, type Script } from '@redcache/core/toolkit';
import type { Wish } from '../../bid/bid.ts';
import { wakeKey } from '../../keys.ts';
import { PROMISE_GRACE_MS, QUEUE_OUTLIVES_MS } from '../../scripts/queue.ts';
import {
  COUNTING,
  COUNTING_ARGS,
  COUNTING_KEYS,
  type Counting,
  countingArgs,
  countingKeys,
  wishArgs,
} from './counting.ts';
import {
  ENTERING,
  ENTERING_ANSWERS,
  ENTERING_ARGS,
  type Entering,
  enteringOf,
} from './entering.ts';

export const COUNTED_JOIN: Script = defineScript({
  keys: 4,
  lua: `-- Stands in the queue, and comes in with those at its head for whom there is room.
--
${COUNTING_KEYS}
-- KEYS[3] touched when room is offered to the asker
-- KEYS[4] touched when the asker has become the first of the queue
${COUNTING_ARGS}
${ENTERING_ARGS}
--
${ENTERING_ANSWERS}
${COUNTING}
-- GET so that this connection tracks them; before anything is decided, so that nothing is missed.
redis.call('GET', KEYS[3])
redis.call('GET', KEYS[4])
${ENTERING}
local function promise(left_ms)
  local stays_ms = left_ms + ${PROMISE_GRACE_MS}
  redis.call('HSET', alive, me, text(ms + stays_ms))
  for _, key in ipairs({queue, alive}) do
    if redis.call('PTTL', key) < stays_ms + ${QUEUE_OUTLIVES_MS} then
      redis.call('PEXPIRE', key, text(stays_ms + ${QUEUE_OUTLIVES_MS}))
    end
  end
end

if not stands_in() then
  redis.call('ZADD', queue, 'NX', text(us), me)
  promise(0)
  offer()
end
if stands_in() then
  local answer = enter()
  -- Nobody needs to hear of these any more, so the server need not remember that they were read.
  touch(KEYS[3])
  touch(KEYS[4])
  return answer
end
local answer = refuse()
promise(answer[2])
return answer
`,
});

/**
 * Takes a permit, or stands in the queue of those who wait for one; there it stays for as long as it
 * asks again within the time answered, and a grace.
 *
 * Sends: EVALSHA `join` (4 keys), EVAL once on NOSCRIPT. Atomic: look, take and queue in one script.
 * Time: as {@link take}.
 * Safe to repeat: a member stands in the queue once, and keeps its place.
 */
export async function join(port: CommandPort, of: Counting, wish: Wish): Promise<Entering> {
  const { keys, member } = of;
  const declared = [
    ...countingKeys(keys),
    wakeKey(keys, 'turn', member),
    wakeKey(keys, 'next', member),
  ];
  return enteringOf(
    await runScript(port, COUNTED_JOIN, declared, [...countingArgs(of), ...wishArgs(wish)]),
    wish.tokens,
  );
}
