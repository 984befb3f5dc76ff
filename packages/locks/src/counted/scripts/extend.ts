import type { CommandPort } from '@redcache/core';
import { defineScript, type Script } from '@redcache/core/toolkit';
import type { Wish } from '../../bid/bid.ts';
import type { ScriptedExtension } from '../../bid/key-bid.ts';
import {
  COUNTING,
  COUNTING_ARGS,
  COUNTING_KEYS,
  type Counting,
  runCounting,
  wishArgs,
} from './counting.ts';

export const COUNTED_EXTEND: Script = defineScript({
  keys: 2,
  lua: `-- Sets the end of a lease that stands, and reserves tokens if wanted.
--
${COUNTING_KEYS}
${COUNTING_ARGS}
-- ARGV[6] lease in milliseconds, from now
-- ARGV[7] how many tokens to reserve; 0 for none
--
-- Answers {1, contended, echoes, token} extended, whether others wait, how many pushes of our own
--         follow, the first token reserved or nothing; {0} the lease stands no more
${COUNTING}
local found = look()
if not redis.call('ZSCORE', holders, me) then return {0} end
let_in(me, tonumber(ARGV[6]))
local count = tonumber(ARGV[7])
local token = count > 0 and text(reserve(before .. 'fence' .. after, ARGV[6], count, us)) or nil
return {1, contended(), keep_gate(found), token}
`,
});

/**
 * Extends the lease of a member, if it still stands; `tokens` reserves so many more.
 *
 * Sends: EVALSHA `extend` (2 keys), EVAL once on NOSCRIPT. Atomic: look and set in one script.
 * Time: `leaseMs` counts on the server from execution; callers count from before the send.
 */
export async function extend(
  port: CommandPort,
  of: Counting,
  wish: Wish,
): Promise<ScriptedExtension> {
  const reply = await runCounting(port, COUNTED_EXTEND, of, ...wishArgs(wish));
  const [code, contended, echoes = 0, first] = reply as readonly [
    number,
    number?,
    number?,
    string?,
  ];
  if (code !== 1) return { is: 'deleted' };
  const reserved = first === undefined ? undefined : { first: BigInt(first), count: wish.tokens };
  return { is: 'extended', contended: contended === 1, echoes, tokens: reserved };
}
