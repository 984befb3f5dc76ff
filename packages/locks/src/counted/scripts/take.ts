import type { CommandPort } from '@redcache/core';
import { defineScript, type Script } from '@redcache/core/toolkit';
import type { Wish } from '../../bid/bid.ts';
import {
  COUNTING,
  COUNTING_ARGS,
  COUNTING_KEYS,
  type Counting,
  runCounting,
  wishArgs,
} from './counting.ts';
import {
  ENTERING,
  ENTERING_ANSWERS,
  ENTERING_ARGS,
  type Entering,
  enteringOf,
} from './entering.ts';

export const COUNTED_TAKE: Script = defineScript({
  keys: 2,
  lua: `-- Lets one in if there is room and nobody waits, or if room was offered to it.
--
${COUNTING_KEYS}
${COUNTING_ARGS}
${ENTERING_ARGS}
--
${ENTERING_ANSWERS}
${COUNTING}${ENTERING}
if not stands_in() then offer() end
if stands_in() or (not head() and fits(me)) then return enter() end
return refuse()
`,
});

/**
 * Takes a permit, if there is one and nobody stands in the queue.
 *
 * Sends: EVALSHA `take` (2 keys), EVAL once on NOSCRIPT. Atomic: look and take in one script.
 * Time: the lease counts on the server from execution; callers count from before the send.
 * Safe to repeat: for the same member it starts the lease anew, under a higher token.
 */
export async function take(port: CommandPort, of: Counting, wish: Wish): Promise<Entering> {
  const reply = await runCounting(port, COUNTED_TAKE, of, ...wishArgs(wish));
  return enteringOf(reply, wish.tokens);
}
