import { defineScript, type Script } from '@redcache/core/toolkit';

/**
 * Writes an epoch, unless a later one stands there.
 *
 * KEYS[1]  where
 * ARGV[1]  the epoch
 * ARGV[2]  for how many milliseconds it is kept, '' for ever
 *
 * Returns 1: written. 0: a later one, or the same, stands there. The GET compares.
 */
export const raiseEpoch: Script = defineScript({
  keys: 1,
  lua: `
local last = tonumber(redis.call('GET', KEYS[1]) or '')
if last and last >= tonumber(ARGV[1]) then return 0 end -- guard: G1
if ARGV[2] == '' then
  redis.call('SET', KEYS[1], ARGV[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1
`,
});
