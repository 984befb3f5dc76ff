import { defineScript, type Script } from '@redcache/core/toolkit';

/**
 * Gives up a load without storing anything: deletes our placeholder, if it still stands.
 *
 * KEYS[1]  the data key
 * ARGV[1]  our placeholder
 *
 * Returns 1: deleted. 0: it was not ours any more. The GET compares.
 */
export const release: Script = defineScript({
  keys: 1,
  lua: `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end -- guard: I11
return redis.call('DEL', KEYS[1])
`,
});
