import { defineScript, type Script } from '@redcache/core/toolkit';
import { HEADER } from './header.ts';

/**
 * Lets a value be fresh for so long from now, and its key outlive that by its tail.
 *
 * KEYS[1]  the data key
 * ARGV[1]  for how many milliseconds it is fresh
 *
 * Returns 1: done. 0: there is no value, nor the knowledge that there is none.
 *
 * The GETRANGE is for the tail.
 */
export const touch: Script = defineScript({
  keys: 1,
  lua: `
${HEADER}
local tail = tail_of(head_of(KEYS[1]))
if not tail then return 0 end
return redis.call('PEXPIRE', KEYS[1], string.format('%.0f', tonumber(ARGV[1]) + tail))
`,
});
