import { defineScript, type Script } from '@redcache/core/toolkit';

/**
 * Takes the load of a key, unless there is a value or somebody else loads it.
 *
 * KEYS[1]  the data key
 * ARGV[1]  our placeholder
 * ARGV[2]  lease in milliseconds
 * ARGV[3]  what the value begins with that is to be replaced; '' for none
 * ARGV[4]  '1': what is none of ours is to be replaced as well
 *
 * Returns {1}: ours now. Our own placeholder counts as ours, so that the script may be repeated.
 * Returns {0, value, PTTL}: what is there instead.
 * A placeholder without an expiry belongs to nobody who is alive, and is replaced.
 *
 * The first GET answers what is there. The last one tracks the key again after our own SET, so that
 * this connection hears when the lease is lost; our SET is followed by exactly one push.
 */
export const acquire: Script = defineScript({
  keys: 1,
  lua: `
local held = redis.call('GET', KEYS[1]) -- guard: I10, hears that it is lost
if held and held ~= ARGV[1] then
  local left = redis.call('PTTL', KEYS[1])
  local is_replaced
  if string.sub(held, 1, 6) == 'rc1 l ' then
    is_replaced = left == -1
  else
    is_replaced = #ARGV[3] > 0 and string.sub(held, 1, #ARGV[3]) == ARGV[3]
      or ARGV[4] == '1' and string.sub(held, 1, 4) ~= 'rc1 '
  end
  if not is_replaced then return {0, held, left} end -- guard: I7
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('GET', KEYS[1])
return {1}
`,
});
