import { defineScript, type Script } from '@redcache/core/toolkit';

/**
 * Extends the lease of a load that still is ours.
 *
 * KEYS[1]  the data key
 * ARGV[1]  our placeholder
 * ARGV[2]  lease in milliseconds, from now
 *
 * Returns 1: extended. 0: the key is gone. -1: something else stands there.
 *
 * The first GET compares. The last one tracks the key again after our own PEXPIRE, which is followed
 * by exactly one push.
 */
export const extend: Script = defineScript({
  keys: 1,
  lua: `
local held = redis.call('GET', KEYS[1])
if not held then return 0 end
if held ~= ARGV[1] then return -1 end -- guard: I11
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('GET', KEYS[1])
return 1
`,
});
