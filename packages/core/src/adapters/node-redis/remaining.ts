import { defineScript, runScript } from '../../script.ts';
import type { Remaining } from '../../tracking-cache.ts';
import type { ClientConnection } from './connection.ts';

/**
 * From so many keys on one script asks for all their remaining times; fewer are asked for one by one.
 * See `npm run bench -- multi`.
 */
export const SCRIPT_FROM_KEYS = 8;

/**
 * Remaining times of several keys.
 *
 * KEYS: the keys. Answers: PTTL of each, in milliseconds; -1: never expires; -2: no such key.
 * Reads each key, so that the connection tracks them all on every server.
 */
const REMAINING_TIMES = `
local times = {}
for i, key in ipairs(KEYS) do times[i] = redis.call('PTTL', key) end
return times
`;

const SCRIPT = defineScript({ lua: REMAINING_TIMES, keys: SCRIPT_FROM_KEYS });

/**
 * The remaining times of the keys of a read, asked for right behind it on the same connection.
 *
 * Sends: `PTTL` for each key, or one EVALSHA for many (EVAL once if the server does not know it).
 * Resolves: what each was answered; `undefined` for one that was not. It never rejects, since the
 * read itself says what is wrong.
 */
export function remainingTimes(
  connection: ClientConnection,
  keys: readonly (string | Buffer)[],
): Promise<readonly unknown[]> {
  const [only] = keys;
  if (keys.length === 1 && only !== undefined)
    return connection.send(['PTTL', only]).then(alone, () => [undefined]);
  if (keys.length >= SCRIPT_FROM_KEYS) return askScript(connection, keys);
  return Promise.all(keys.map((key) => connection.send(['PTTL', key]).catch(() => undefined)));
}

const alone = (time: unknown): readonly unknown[] => [time];

async function askScript(
  connection: ClientConnection,
  keys: readonly (string | Buffer)[],
): Promise<readonly unknown[]> {
  try {
    const times = await runScript(
      connection,
      { ...SCRIPT, keys: keys.length },
      keys as readonly string[],
      [],
    );
    return Array.isArray(times) ? times : [undefined];
  } catch {
    return [undefined];
  }
}

/** The shortest of these times, and whether a key was missing; `unknown` if one was not answered. */
export function remainingOf(
  times: readonly unknown[],
): { readonly ms: Remaining; readonly isMissing: boolean } | 'unknown' {
  let ms: Remaining = 'none';
  let isMissing = false;
  for (const time of times) {
    if (typeof time !== 'number') return 'unknown';
    if (time === -2) isMissing = true;
    else if (time >= 0) ms = ms === 'none' ? time : Math.min(ms, time);
  }
  return { ms, isMissing };
}
