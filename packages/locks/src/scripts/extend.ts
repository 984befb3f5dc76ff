import type { CommandPort } from '@redcache/core';
import { defineScript, runScript, type Script } from '@redcache/core/toolkit';
import type { ScriptedExtension } from '../bid/key-bid.ts';
import { beside, type LockKeys } from '../keys.ts';
import type { AcquireWish } from './acquire.ts';
import { FENCING } from './fencing.ts';

export const EXTEND: Script = defineScript({
  keys: 1,
  lua: `-- Sets the remaining time of a lock that is still its holder's, and reserves tokens if wanted.
--
-- KEYS[1] the lock, as for acquire
-- ARGV[1] holder
-- ARGV[2] lease in milliseconds, from now
-- ARGV[3] the key of the last fencing token, in the slot of the lock
-- ARGV[4] how many tokens to reserve; 0 for none
--
-- Answers {1, contended, token} extended, whether others wait, the first token reserved or nothing;
--         {0} there is no lock; {-1} somebody else has it
${FENCING}
-- GET to compare; it also makes this connection track the key.
local value = redis.call('GET', KEYS[1])
if not value then return {0} end
if string.sub(value, 1, #ARGV[1] + 1) ~= ARGV[1] .. ':' then return {-1} end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
-- GET because the write above made the connection forget the key: the holder hears what others do.
redis.call('GET', KEYS[1])
local contended = string.sub(value, -1) == '+' and 1 or 0
local count = tonumber(ARGV[4])
if count == 0 then return {1, contended} end
return {1, contended, text(reserve(ARGV[3], ARGV[2], count, now_us()))}
`,
});

/**
 * Extends the lease of `holder`, if it still has the lock; `tokens` reserves so many more.
 * {@link extensionOf} reads the reply.
 *
 * Sends: EVALSHA `extend` (1 key), EVAL once on NOSCRIPT. Atomic: compare and PEXPIRE in one script.
 * Time: `leaseMs` counts on the server from execution; callers count from before the send.
 */
export function extend(
  port: CommandPort,
  keys: LockKeys,
  { holder, leaseMs, tokens }: AcquireWish,
): Promise<unknown> {
  const args = [holder, String(leaseMs), beside(keys, 'fence'), String(tokens)];
  return runScript(port, EXTEND, [keys.lock], args);
}

export function extensionOf(reply: unknown, tokens: number): ScriptedExtension {
  const [code, contended, first] = reply as readonly [number, number?, string?];
  if (code !== 1) return { is: code === 0 ? 'deleted' : 'taken' };
  const reserved = first === undefined ? undefined : { first: BigInt(first), count: tokens };
  // The key was read, written and read again.
  return { is: 'extended', contended: contended === 1, echoes: 1, tokens: reserved };
}
