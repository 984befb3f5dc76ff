import { defineScript, type Script } from '@redcache/core/toolkit';
import { HEADER } from './header.ts';

/**
 * Replaces a value by the one that was loaded for it, if our lease still stands and nobody has
 * deleted or written the value meanwhile (I8). Gives the lease back either way.
 *
 * KEYS[1]  the data key
 * KEYS[2]  the lease, beside it
 * ARGV[1]  our holder
 * ARGV[2]  id of the value that is to be replaced
 * ARGV[3]  the envelope to store
 * ARGV[4]  time to live in milliseconds
 *
 * Returns 1: stored. 0: not.
 *
 * GET and GETRANGE compare. The last GETRANGE tracks the data key again after our own SET, so that
 * the copy kept here hears of later changes; our SET is followed by exactly one push.
 */
export const refreshFill: Script = defineScript({
  keys: 2,
  lua: `
${HEADER}
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end -- guard: I7
local is_same = id_of(head_of(KEYS[1])) == ARGV[2]
redis.call('DEL', KEYS[2])
if not is_same then return 0 end -- guard: I8
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
redis.call('GETRANGE', KEYS[1], 0, 0)
return 1
`,
});
