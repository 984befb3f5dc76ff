import type { CommandPort } from '@redcache/core';
import { defineScript, runScript, type Script } from '@redcache/core/toolkit';
import { beside, type LockKeys } from '../../keys.ts';
import { COUNTING_KEYS, countingKeys } from './counting.ts';

export const COUNTED_LOOK: Script = defineScript({
  keys: 2,
  lua: `-- Tells for how long a lease still stands. Writes nothing.
--
${COUNTING_KEYS}
-- ARGV[1] member: the holder id, after 'w:' if it has the lock alone
-- ARGV[2] queue: members that wait, in the slot of the gate
--
-- Answers {1, ms, contended} it stands for so long, whether others wait; {0} it stands no more
--
-- HGET so that this connection tracks the gate.
if not redis.call('HGET', KEYS[1], 'redcache:counted') then return {0} end
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local left = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or '0') - ms
if left <= 0 then return {0} end
-- Without the gate it would end, and somebody may have cut that short.
local gate_ms = redis.call('PTTL', KEYS[1])
if gate_ms >= 0 then left = math.min(left, gate_ms) end
-- Another type under the name of the queue says nothing of the lease.
local waiting = redis.pcall('ZCARD', ARGV[2])
return {1, left, type(waiting) == 'number' and waiting > 0 and 1 or 0}
`,
});

export type CountedLook =
  | { readonly is: 'ours'; readonly remainingMs: number; readonly contended: boolean }
  | { readonly is: 'deleted' };

/**
 * Looks whether the lease of a member still stands, which makes the connection track the gate again.
 *
 * Sends: EVALSHA `look` (2 keys), EVAL once on NOSCRIPT.
 */
export async function look(
  port: CommandPort,
  keys: LockKeys,
  member: string,
): Promise<CountedLook> {
  const args = [member, beside(keys, 'queue')];
  const reply = await runScript(port, COUNTED_LOOK, countingKeys(keys), args);
  const [code, remainingMs = 0, contended] = reply as readonly [number, number?, number?];
  if (code !== 1) return { is: 'deleted' };
  return { is: 'ours', remainingMs, contended: contended === 1 };
}
