import { defineScript, type Script } from '@redcache/core/toolkit';
import { EPOCH } from './epoch.ts';

/**
 * Begins a new epoch, later than all before.
 *
 * KEYS[1]  the epoch
 *
 * Returns it as text. The GET is for what it has to be later than.
 */
export const nextEpoch: Script = defineScript({
  keys: 1,
  lua: `
${EPOCH}
local epoch = now_us()
local last = tonumber(redis.call('GET', KEYS[1]) or '')
if last and last >= epoch and last < 9007199254740991 then epoch = last + 1 end -- guard: G1
redis.call('SET', KEYS[1], text(epoch))
return text(epoch)
`,
});
