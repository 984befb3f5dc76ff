import type { CommandPort } from '@redcache/core';
import { defineScript, runScript, type Script } from '@redcache/core/toolkit';
import { beside, type LockKeys } from '../keys.ts';
import { TOKEN_OUTLIVES_LEASE_MS } from './fencing.ts';

export const RAISE_FENCE: Script = defineScript({
  keys: 1,
  lua: `-- Takes note of a fencing token that another server has given out, unless one was given out here
-- that is greater.
--
-- KEYS[1] the lock, as for acquire; its value does not matter here
-- ARGV[1] the token: the last of those that were reserved together
-- ARGV[2] key of the last fencing token, in the slot of the lock; not declared, since Redis 7.0
--         tracks every key that is
-- ARGV[3] how long the last token is remembered, in milliseconds
--
-- Answers 1
--
-- GET because every key that is declared is read; it is the lock that leads to the right server.
redis.call('GET', KEYS[1])
-- SET with GET instead of a GET: what only the scripts read need not be tracked.
local last = redis.call('SET', ARGV[2], ARGV[1], 'PX', ARGV[3], 'GET')
local number = tonumber(last or '')
-- One beyond 2^53 is none of ours, as for acquire.
if number and number > tonumber(ARGV[1]) and number < 9007199254740991 then
  redis.call('SET', ARGV[2], last, 'PX', ARGV[3])
end
return 1
`,
});

export interface RaiseWish {
  readonly token: bigint;
  readonly leaseMs: number;
}

/**
 * Has a server give out no token up to `token` any more.
 *
 * Sends: EVALSHA `raise-fence` (1 key), EVAL once on NOSCRIPT. Atomic.
 * Safe to repeat, and to send for a lock that is not held: it only ever raises.
 */
export async function raiseFence(
  port: CommandPort,
  keys: LockKeys,
  { token, leaseMs }: RaiseWish,
): Promise<void> {
  const rememberMs = leaseMs + TOKEN_OUTLIVES_LEASE_MS;
  const args = [String(token), beside(keys, 'fence'), String(rememberMs)];
  await runScript(port, RAISE_FENCE, [keys.lock], args);
}
