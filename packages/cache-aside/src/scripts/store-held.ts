import { defineScript, type Script } from '@redcache/core/toolkit';
import { HELD } from '@redcache/locks/lease';

/**
 * Stores what a writer answered, if it still has the lock of the key. If not, somebody else may have
 * written meanwhile, and nobody knows who was the last: the value is deleted.
 *
 * KEYS[1]  the data key
 * KEYS[2]  the lock, beside it
 * ARGV[1]  its holder
 * ARGV[2]  the envelope to store
 * ARGV[3]  time to live in milliseconds
 *
 * Returns 1: stored. Else deleted: 0: there is no lock any more. -1: somebody else has it.
 *
 * The only read is that of the lock. The data key is not tracked: nothing of it is kept here.
 */
export const storeHeld: Script = defineScript({
  keys: 2,
  lua: `
${HELD}
local held, why = is_held(KEYS[2], ARGV[1])
if not held then
  redis.call('DEL', KEYS[1]) -- guard: W2
  return why
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
`,
});
