import { defineScript, type Script } from '@redcache/core/toolkit';

/**
 * Sees to it that an epoch stands under a key for as long as it is needed: leaves the one that is
 * there, or begins with ours.
 *
 * KEYS[1]  where
 * ARGV[1]  the epoch to begin with; '': where there is none, none is begun
 * ARGV[2]  for how many milliseconds it is needed
 * ARGV[3]  for how many it is kept if it would end sooner: longer, since every change of its end is
 *          pushed to all who know it
 *
 * Returns 1: it was begun. 0: not. The GET is to see whether there is one.
 */
export const keepEpoch: Script = defineScript({
  keys: 1,
  lua: `
if redis.call('GET', KEYS[1]) then
  local left = redis.call('PTTL', KEYS[1])
  if left >= 0 and left < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end -- guard: G2
  return 0
end
if ARGV[1] == '' then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1
`,
});
