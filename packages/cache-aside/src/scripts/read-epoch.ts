import { defineScript, type Script } from '@redcache/core/toolkit';
import { EPOCH } from './epoch.ts';

/**
 * The epoch that stands under a key; begins one where there is none, or no number.
 *
 * KEYS[1]  the epoch
 * ARGV[1]  the one to begin; left out: of now
 *
 * Returns {it as text, 1 if it was begun just now, else 0}.
 *
 * GET so that this connection tracks the key. One that is begun is followed by a push of our own.
 */
export const readEpoch: Script = defineScript({
  keys: 1,
  lua: `
local epoch = redis.call('GET', KEYS[1])
if epoch and string.match(epoch, '^[1-9]%d*$') then return {epoch, 0} end
${EPOCH}
epoch = ARGV[1] or text(now_us())
redis.call('SET', KEYS[1], epoch)
return {epoch, 1}
`,
});
