import type { CommandPort } from '@redcache/core';
import { defineScript, runScript, type Script } from '@redcache/core/toolkit';

export const EXTEND: Script = defineScript({
  keys: 1,
  lua: `-- Sets the remaining time of a lock that is still its holder's.
--
-- KEYS[1] the lock: '<holder>:<fencing token>'
-- ARGV[1] holder
-- ARGV[2] lease in milliseconds, from now
--
-- Answers 1 extended; 0 there is no lock; -1 somebody else has it

-- GET to compare; it also makes this connection track the key.
local value = redis.call('GET', KEYS[1])
if not value then return 0 end
if string.sub(value, 1, #ARGV[1] + 1) ~= ARGV[1] .. ':' then return -1 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
-- GET because the write above made the connection forget the key: the holder hears what others do.
redis.call('GET', KEYS[1])
return 1
`,
});

/**
 * Extends the lease of `holder`, if it still has the lock.
 *
 * Sends: EVALSHA `extend` (1 key), EVAL once on NOSCRIPT. Atomic: compare and PEXPIRE in one script.
 * Time: `leaseMs` counts on the server from execution; callers count from before the send.
 */
export async function extend(
  port: CommandPort,
  lockKey: string,
  holder: string,
  leaseMs: number,
): Promise<'extended' | 'deleted' | 'taken'> {
  const code = await runScript(port, EXTEND, [lockKey], [holder, String(leaseMs)]);
  if (code === 1) return 'extended';
  return code === 0 ? 'deleted' : 'taken';
}
