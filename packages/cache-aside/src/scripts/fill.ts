import { defineScript, type Script } from '@redcache/core/toolkit';

/**
 * Replaces our placeholder by what was loaded, if it still stands (I8).
 *
 * KEYS[1]  the data key
 * ARGV[1]  our placeholder
 * ARGV[2]  the envelope to store
 * ARGV[3]  time to live in milliseconds
 *
 * Returns 1: stored. 0: the key was deleted, written or flushed meanwhile, or the lease ended.
 *
 * The first GET compares. The last one tracks the key again after our own SET, so that the copy kept
 * here hears of later changes; our SET is followed by exactly one push.
 */
export const fill: Script = defineScript({
  keys: 1,
  lua: `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end -- guard: I8
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('GET', KEYS[1]) -- guard: I1, tracks what is kept
return 1
`,
});
