import type { CommandPort } from '@redcache/core';
import { defineScript, runScript, type Script } from '@redcache/core/toolkit';

/** `held`: by somebody else, for that long; -1 without end. `not-a-lock`: the key holds something else. */
export type AcquireAnswer =
  | { readonly is: 'acquired'; readonly fencingToken: bigint }
  | { readonly is: 'held'; readonly remainingMs: number }
  | { readonly is: 'not-a-lock' };

export const ACQUIRE: Script = defineScript({
  keys: 2,
  lua: `-- Takes the lock for a holder, or says how long it is taken.
--
-- KEYS[1] the lock: '<holder>:<fencing token>', expires with the lease
-- KEYS[2] the last fencing token given out, in the slot of the lock
-- ARGV[1] holder: the id of the one who asks; never contains ':'
-- ARGV[2] lease in milliseconds
-- ARGV[3] how long the last token is remembered, in milliseconds
--
-- Answers {1, token} acquired; {0, ms} held by another for that long, -1 without end;
--         {-1, 0} the key holds text without end that no lock wrote
--
-- A holder that asks again has not heard the first answer: it gets the same token and the whole
-- lease. The token is the server's time in microseconds, or one more than the last where the clock
-- does not say more: both stay below 2^53, so Lua counts them exactly.

-- GET so that this connection tracks the key: whoever is told 'held' hears the release.
local value = redis.call('GET', KEYS[1])
if value then
  if string.sub(value, 1, #ARGV[1] + 1) == ARGV[1] .. ':' then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    -- GET because the write above made the connection forget the key.
    redis.call('GET', KEYS[1])
    return {1, string.sub(value, #ARGV[1] + 2)}
  end
  local left = redis.call('PTTL', KEYS[1])
  if left == -1 and not string.find(value, '^[%x-]+:%d+$') then
    return {-1, 0}
  end
  return {0, left}
end

-- GET the last token: it is part of the answer. A token beyond 2^53 is none of ours.
local last = tonumber(redis.call('GET', KEYS[2]) or '')
local now = redis.call('TIME')
local token = now[1] * 1000000 + now[2]
if last and last >= token and last < 9007199254740991 then
  token = last + 1
end
local text = string.format('%.0f', token)
redis.call('SET', KEYS[2], text, 'PX', ARGV[3])
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. text, 'PX', ARGV[2])
-- GET because the write above made the connection forget the key: the holder hears what others do.
redis.call('GET', KEYS[1])
return {1, text}
`,
});

/** How much longer than the lease the last fencing token is remembered; then the clock covers. */
const TOKEN_OUTLIVES_LEASE_MS = 3_600_000;

/**
 * Takes the lock for `holder`.
 *
 * Sends: EVALSHA `acquire` (2 keys), EVAL once on NOSCRIPT. Atomic: compare and set in one script.
 * Time: the lease counts on the server from execution; callers count from before the send.
 * Safe to repeat: for the same holder it answers the same token and starts the lease anew.
 */
export async function acquire(
  port: CommandPort,
  keys: { readonly lock: string; readonly fence: string },
  holder: string,
  leaseMs: number,
): Promise<AcquireAnswer> {
  const reply = (await runScript(
    port,
    ACQUIRE,
    [keys.lock, keys.fence],
    [holder, String(leaseMs), String(leaseMs + TOKEN_OUTLIVES_LEASE_MS)],
  )) as readonly [number, string | number];
  const [code, detail] = reply;
  if (code === 1) return { is: 'acquired', fencingToken: BigInt(detail) };
  return code === 0 ? { is: 'held', remainingMs: Number(detail) } : { is: 'not-a-lock' };
}
