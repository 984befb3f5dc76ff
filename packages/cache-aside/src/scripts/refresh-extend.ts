import { defineScript, type Script } from '@redcache/core/toolkit';
import { HEADER } from './header.ts';

/**
 * Extends the right to load a value anew, if it still is ours and the value still the one it is for.
 *
 * KEYS[1]  the data key
 * KEYS[2]  the lease, beside it
 * ARGV[1]  our holder
 * ARGV[2]  lease in milliseconds, from now
 * ARGV[3]  id of the value that is to be replaced
 *
 * Returns 1: extended. 0: the lease is gone. -1: somebody else has it, or the value is another.
 *
 * GET and GETRANGE compare. The last GET tracks the lease again after our own PEXPIRE, which is
 * followed by exactly one push.
 */
export const refreshExtend: Script = defineScript({
  keys: 2,
  lua: `
${HEADER}
local holder = redis.call('GET', KEYS[2])
if not holder then return 0 end
if holder ~= ARGV[1] or id_of(head_of(KEYS[1])) ~= ARGV[3] then return -1 end -- guard: I8
redis.call('PEXPIRE', KEYS[2], ARGV[2])
redis.call('GET', KEYS[2])
return 1
`,
});
