import { defineScript, type Script } from '@redcache/core/toolkit';
import { HELD } from '@redcache/locks/lease';
import { HEADER } from './header.ts';

/**
 * Stores what a writer answered, if it still has the lock of the key and nothing has happened to the
 * key since it began. If not, somebody else may have written meanwhile, and nobody knows who was the
 * last: the value is deleted.
 *
 * KEYS[1]  the data key
 * KEYS[2]  the lock, beside it
 * ARGV[1]  its holder
 * ARGV[2]  the envelope to store
 * ARGV[3]  time to live in milliseconds
 * ARGV[4]  what the data key held when the writer began, as begin-write answered
 *
 * Returns 1: stored. Else deleted: 0: there is no lock any more. -1: somebody else has it. 2: the key
 * was deleted or written meanwhile, or has expired.
 *
 * The lock is read to compare its holder, TYPE and GETRANGE of the data key to compare what it holds.
 */
export const storeHeld: Script = defineScript({
  keys: 2,
  lua: `
${HELD}
${HEADER}
local held, why = is_held(KEYS[2], ARGV[1])
if not held then
  redis.call('DEL', KEYS[1]) -- guard: W2
  return why
end
if sign_of(KEYS[1]) ~= ARGV[4] then
  redis.call('DEL', KEYS[1])
  return 2
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
`,
});
