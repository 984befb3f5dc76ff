import type { CommandPort } from '@redcache/core';
import { defineScript, runScript, type Script } from '@redcache/core/toolkit';

export const RELEASE: Script = defineScript({
  keys: 1,
  lua: `-- Deletes a lock that is still its holder's.
--
-- KEYS[1] the lock: '<holder>:<fencing token>'
-- ARGV[1] holder
--
-- Answers 1 released; 0 there is no lock; -1 somebody else has it, which changes nothing

-- GET to compare.
local value = redis.call('GET', KEYS[1])
if not value then return 0 end
if string.sub(value, 1, #ARGV[1] + 1) ~= ARGV[1] .. ':' then return -1 end
redis.call('DEL', KEYS[1])
return 1
`,
});

/**
 * Frees the lock if `holder` still has it.
 *
 * Sends: EVALSHA `release` (1 key), EVAL once on NOSCRIPT. Atomic: compare and DEL in one script.
 * Safe to repeat: it never frees the lock of somebody else.
 */
export async function release(
  port: CommandPort,
  lockKey: string,
  holder: string,
): Promise<'released' | 'deleted' | 'taken'> {
  const code = await runScript(port, RELEASE, [lockKey], [holder]);
  if (code === 1) return 'released';
  return code === 0 ? 'deleted' : 'taken';
}
