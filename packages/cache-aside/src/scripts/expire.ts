import { defineScript, type Script } from '@redcache/core/toolkit';
import { HEADER } from './header.ts';

/**
 * Lets a value be stale from now on. It stays for as long as it may be served stale, and one that may
 * not is deleted.
 *
 * KEYS[1]  the data key
 *
 * Returns 1: done. 0: there is no value, nor the knowledge that there is none.
 *
 * The GETRANGE is for the tail, the PTTL since what ends sooner is not to be prolonged.
 */
export const expire: Script = defineScript({
  keys: 1,
  lua: `
${HEADER}
local tail = tail_of(head_of(KEYS[1]))
if not tail then return 0 end
local left = redis.call('PTTL', KEYS[1])
if tail == 0 then return redis.call('DEL', KEYS[1]) end
if left == -1 or left > tail then redis.call('PEXPIRE', KEYS[1], string.format('%.0f', tail)) end
return 1
`,
});
