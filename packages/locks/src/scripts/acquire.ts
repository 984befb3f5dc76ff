import type { BatchingPort } from '../batching-port.ts';
import { type LockKeys, tagOf } from '../keys.ts';
import type { Answer } from './answer.ts';
import { type BatchedScript, defineBatched } from './batched.ts';
import { BESIDE } from './beside.ts';
import { FENCING } from './fencing.ts';

export const ACQUIRE: BatchedScript = defineBatched({
  args: 5,
  header: `-- Takes the lock for a holder, or says how long it is taken.
--
-- KEYS[1] the lock: '<holder>:<fencing token>', and '+' if others wait in the queue; expires with
--         the lease
-- ARGV[1] lease in milliseconds
-- ARGV[2] how many tokens to reserve
-- ARGV[3] 'force': take it from whoever has it
-- ARGV[4] the tag by which the keys beside the lock are in its slot, '' for the lock itself; they are
--         not declared, since Redis 7.0 tracks every key that is
-- ARGV[5] holder: the id of the one who asks; never contains ':'
--
-- Answers the first token of those reserved: it was free, nobody waits, and no pushes of our own follow;
--         {1, token, contended, echoes} acquired as well, whether others wait, and how many pushes
--         of our own follow; {0, ms} held by another for that long, -1 without end; {-1, 0} the key
--         holds text without end that no lock wrote
--
-- A holder that asks again has not heard the first answer: it gets the whole lease and new tokens.
`,
  shared: FENCING + BESIDE,
  steps: {
    first: `
  local token = now_us()
  -- SET before any GET: a key that nobody on this connection has read causes no push.
  local mine = ARGV[5] .. ':'
  if not redis.call('SET', KEYS[1], mine .. text(token), 'NX', 'PX', ARGV[1]) then return nil end
  local fence = beside(KEYS[1], ARGV[4], 'fence')
  local is_done, reserved = pcall(reserve, fence, ARGV[1], tonumber(ARGV[2]), token)
  if not is_done then
    -- The key beside the lock holds another type, or may not be used: nobody is to wait for nobody.
    redis.call('DEL', KEYS[1])
    return type(reserved) == 'table' and reserved or redis.error_reply(tostring(reserved))
  end
  if reserved ~= token then redis.call('SET', KEYS[1], mine .. text(reserved), 'PX', ARGV[1]) end
  return reserved
`,
    second: `
  -- Read so that this connection tracks the key: the holder hears what others do. Of another type: an error.
  value = value or redis.call('GET', KEYS[1])
  local left = redis.call('PTTL', KEYS[1])
  if left == -1 and not string.find(value, '^[%x-]+:%d+%+?$') then return {-1, 0} end
  local mine = ARGV[5] .. ':'
  if string.sub(value, 1, #mine) ~= mine and ARGV[3] ~= 'force' then return {0, left} end

  local mark = string.sub(value, -1) == '+' and '+' or ''
  local fence = beside(KEYS[1], ARGV[4], 'fence')
  local token = text(reserve(fence, ARGV[1], tonumber(ARGV[2]), now_us()))
  redis.call('SET', KEYS[1], mine .. token .. mark, 'PX', ARGV[1])
  -- GET because the write above made the connection forget the key.
  redis.call('GET', KEYS[1])
  return {1, token, #mark, 1}
`,
  },
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
  keys: LockKeys,
  { holder, leaseMs, tokens }: AcquireWish,
  how: 'if-free' | 'force',
): Promise<unknown> {
  const shared = [String(leaseMs), String(tokens), how, tagOf(keys)];
  return port.call(ACQUIRE, keys.lock, shared, holder);
}

/** What `acquire` and `join` answer. */
export function answerOf(reply: unknown, tokens: number): Answer {
  if (typeof reply === 'number')
    return {
      is: 'acquired',
      tokens: { first: BigInt(reply), count: tokens },
      contended: false,
      echoes: 0,
    };
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
