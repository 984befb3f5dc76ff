import { defineScript, type Script } from '@redcache/core/toolkit';
import { HEADER } from './header.ts';

/**
 * Notes what a key holds when a writer begins, so that {@link storeHeld} can see whether anything has
 * happened to it since. A delete of nothing would leave no trace, so something is put there.
 *
 * KEYS[1]  the data key
 * ARGV[1]  the mark to put where there is nothing
 * ARGV[2]  for how many milliseconds
 *
 * Returns what is to be compared.
 *
 * TYPE and GETRANGE are for that.
 */
export const beginWrite: Script = defineScript({
  keys: 1,
  lua: `
${HEADER}
if sign_of(KEYS[1]) == '' then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return sign_of(KEYS[1])
`,
});
