import type { Remaining } from '../../flight/fetched.ts';
import { defineScript, runScript } from '../../script.ts';
import type { ClientConnection } from './connection.ts';

/**
 * From so many keys on a script asks for their remaining times; fewer are asked for one by one. It
 * costs the server more and the client less, together less. See `npm run bench -- multi`.
 */
export const SCRIPT_FROM_KEYS = 8;

/**
 * No script has more: servers before 7.4 track all declared keys of a script once for each command
 * in it, so that its cost grows with the square of their number.
 */
export const SCRIPT_KEYS = 16;

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
 * Sends: `PTTL` for each key, or an EVALSHA for each 16 of many (EVAL once if the server does not
 * know it).
 * Resolves: what each was answered; `undefined` for one that was not. It never rejects, since the
 * read itself says what is wrong.
 */
export async function remainingTimes(
  connection: ClientConnection,
  keys: readonly (string | Buffer)[],
): Promise<readonly unknown[]> {
  const parts: Promise<readonly unknown[]>[] = [];
  for (let i = 0; i < keys.length; i += SCRIPT_KEYS)
    parts.push(askPart(connection, keys.slice(i, i + SCRIPT_KEYS)));
  return (await Promise.all(parts)).flat();
}

function askPart(
  connection: ClientConnection,
  keys: readonly (string | Buffer)[],
): Promise<readonly unknown[]> {
  if (keys.length >= SCRIPT_FROM_KEYS) return askScript(connection, keys);
  return Promise.all(keys.map((key) => connection.send(['PTTL', key]).catch(() => undefined)));
}

export interface TimesListener {
  answered(times: readonly unknown[]): void;
}

/** As {@link remainingTimes}, without more promises than sending needs for the one key that most reads have. */
export function askRemainingTimes(
  connection: ClientConnection,
  keys: readonly (string | Buffer)[],
  listener: TimesListener,
): void {
  const [only] = keys;
  if (keys.length === 1 && only !== undefined)
    connection.send(['PTTL', only]).then(
      (time) => listener.answered([time]),
      () => listener.answered(NO_TIME),
    );
  else remainingTimes(connection, keys).then((times) => listener.answered(times));
}

const NO_TIME = [undefined] as const;

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
    if (Array.isArray(times)) return times;
  } catch {
    // As if each had not been answered.
  }
  return keys.map(() => undefined);
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
