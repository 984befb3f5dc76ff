import { defineScript, type Script } from '@redcache/core/toolkit';
import { MAX_HEADER_BYTES } from '../envelope.ts';
import { HEADER } from './header.ts';

/**
 * Lets a value be fresh for so long from now, and its key outlive that by its tail.
 *
 * KEYS[1]  the data key
 * ARGV[1]  for how many milliseconds it is fresh
 *
 * Returns {1, its header}: done; the caller has its tags remembered for as long. {0}: there is no value,
 * nor the knowledge that there is none.
 *
 * The GETRANGEs are for the header, the longer one where it has many tags.
 */
export const touch: Script = defineScript({
  keys: 1,
  lua: `
${HEADER}
local head = head_of(KEYS[1])
local tail = tail_of(head)
if not tail then return {0} end
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', tonumber(ARGV[1]) + tail))
if not string.find(head, '\\n', 1, true) then
  head = redis.call('GETRANGE', KEYS[1], 0, ${MAX_HEADER_BYTES - 1})
end
return {1, string.match(head, '^[^\\n]*\\n')}
`,
});
