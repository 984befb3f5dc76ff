import type { BatchingPort } from '../batching-port.ts';
import type { LockKeys } from '../keys.ts';
import type { Answer } from './answer.ts';
import { type BatchedScript, defineBatched } from './batched.ts';
import { FENCING } from './fencing.ts';

export const ACQUIRE: BatchedScript = defineBatched({
  args: 6,
  header: `-- Takes the lock for a holder, or says how long it is taken.
--
-- KEYS[1] the lock: '<holder>:<fencing token>', and '+' if others wait in the queue; expires with
--         the lease
-- ARGV[1] holder: the id of the one who asks; never contains ':'
-- ARGV[2] lease in milliseconds
-- ARGV[3] what the keys beside the lock begin with, which are in its slot; they are not declared,
--         since Redis 7.0 tracks every key that is
-- ARGV[4] what they end with
-- ARGV[5] how many tokens to reserve
-- ARGV[6] 'force': take it from whoever has it
--
-- Answers {1, token, contended, echoes} acquired, the first token of those reserved, whether others
--         wait, and how many pushes of our own follow; {0, ms} held by another for that long, -1
--         without end; {-1, 0} the key holds text without end that no lock wrote
--
-- A holder that asks again has not heard the first answer: it gets the whole lease and new tokens.
`,
  shared: FENCING,
  steps: [
    `
  local mine = ARGV[1] .. ':'
  local token = now_us()
  -- SET before any GET: a key that nobody on this connection has read causes no push.
  if not redis.call('SET', KEYS[1], mine .. text(token), 'NX', 'PX', ARGV[2]) then return nil end
  local fence = ARGV[3] .. 'fence' .. ARGV[4]
  local is_done, reserved = pcall(reserve, fence, ARGV[2], tonumber(ARGV[5]), token)
  if not is_done then
    -- The key beside the lock holds another type, or may not be used: nobody is to wait for nobody.
    redis.call('DEL', KEYS[1])
    return type(reserved) == 'table' and reserved or redis.error_reply(tostring(reserved))
  end
  if reserved ~= token then redis.call('SET', KEYS[1], mine .. text(reserved), 'PX', ARGV[2]) end
  return nil, text(reserved)
`,
    `
  -- GET so that this connection tracks the key: the holder hears what others do.
  local value = redis.call('GET', KEYS[1])
  if seen then return {1, seen, 0, 0} end
  local left = redis.call('PTTL', KEYS[1])
  if left == -1 and not string.find(value, '^[%x-]+:%d+%+?$') then return {-1, 0} end
  local mine = ARGV[1] .. ':'
  if string.sub(value, 1, #mine) ~= mine and ARGV[6] ~= 'force' then return {0, left} end

  local mark = string.sub(value, -1) == '+' and '+' or ''
  local fence = ARGV[3] .. 'fence' .. ARGV[4]
  local token = text(reserve(fence, ARGV[2], tonumber(ARGV[5]), now_us()))
  redis.call('SET', KEYS[1], mine .. token .. mark, 'PX', ARGV[2])
  -- GET because the write above made the connection forget the key.
  redis.call('GET', KEYS[1])
  return {1, token, #mark, 1}
`,
  ],
});

export interface AcquireWish {
  readonly holder: string;
  readonly leaseMs: number;
  /** How many fencing tokens to reserve. */
  readonly tokens: number;
}

/**
 * Takes the lock for `holder`. {@link answerOf} reads the reply.
 *
 * Sends: EVALSHA `acquire` (1 key, or with others of the same turn one each), EVAL once on NOSCRIPT.
 * Atomic: compare and set in one script.
 * Time: the lease counts on the server from execution; callers count from before the send.
 * Safe to repeat: for the same holder it starts the lease anew, under a higher token.
 */
export function acquire(
  port: BatchingPort,
  { lock, before, after }: LockKeys,
  { holder, leaseMs, tokens }: AcquireWish,
  how: 'if-free' | 'force',
): Promise<unknown> {
  const args = [holder, String(leaseMs), before, after, String(tokens), how];
  return port.call(ACQUIRE, lock, args);
}

/** What `acquire` and `join` answer. */
export function answerOf(reply: unknown, tokens: number): Answer {
  const [code, detail, third, echoes] = reply as readonly (number | string)[];
  if (code === 1)
    return {
      is: 'acquired',
      tokens: { first: BigInt(detail as string), count: tokens },
      contended: third === 1,
      echoes: Number(echoes ?? 0),
    };
  if (code !== 0) return { is: 'not-a-lock' };
  const place = third === undefined ? undefined : Number(third);
  return { is: 'held', remainingMs: Number(detail), place, echoes: Number(echoes ?? 0) };
}
