import { defineScript, type Script } from '@redcache/core/toolkit';
import { HEADER } from './header.ts';

/**
 * Takes the right to load a value anew while the old one stands.
 *
 * KEYS[1]  the data key
 * KEYS[2]  the lease, beside it: holds its holder
 * ARGV[1]  our holder
 * ARGV[2]  lease in milliseconds
 * ARGV[3]  id of the value that is to be replaced
 *
 * Returns {1}: ours now. Our own holder counts as ours, so that the script may be repeated.
 * Returns {0, PTTL of the lease}: somebody else is loading it.
 * Returns {-1}: the value is not that one any more.
 *
 * GET and GETRANGE compare. The last GET tracks the lease again after our own SET, which is followed by
 * exactly one push.
 */
export const refreshAcquire: Script = defineScript({
  keys: 2,
  lua: `
${HEADER}
if id_of(head_of(KEYS[1])) ~= ARGV[3] then return {-1} end -- guard: I8
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then
  local left = redis.call('PTTL', KEYS[2])
  if left ~= -1 then return {0, left} end
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
redis.call('GET', KEYS[2])
return {1}
`,
});
