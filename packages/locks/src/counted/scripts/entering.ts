import type { Answer } from '../../scripts/answer.ts';

/**
 * A writer that waits asks again at least as often, however long the leases of the readers before it:
 * those behind it, who ask as often, could read beside them, and must not stand there for long if it
 * has died.
 */
export const WRITER_ASKS_EVERY_MS = 5_000;

export const ENTERING_ARGS = `-- ARGV[6] lease in milliseconds
-- ARGV[7] how many tokens to reserve`;

export const ENTERING_ANSWERS = `-- Answers {1, token, contended, echoes} acquired, the first token of those reserved, whether others
--         wait, and how many pushes of our own follow; {0, ms, place, echoes} not yet: after so long
--         it is time to ask again if nothing is heard before, where the asker stands in the queue, 0 for the
--         first, -1 if it does not; {-1, kind} the key is in use as that, '' for none of ours
--
-- A holder that asks again has not heard the first answer, or was made an offer: it gets the whole
-- lease and new tokens.`;

/** Lua of those who want the lock; comes after `COUNTING`. */
export const ENTERING: string = `
local found = look()
if is_other(found) then return {-1, found or ''} end

local function stands_in() return redis.call('ZSCORE', holders, me) end

local function enter()
  leave(me)
  let_in(me, tonumber(ARGV[6]))
  local token = text(reserve(before .. 'fence' .. after, ARGV[6], tonumber(ARGV[7]), us))
  return {1, token, contended(), keep_gate(found)}
end

-- How long there is surely no room for this one unless somebody leaves or extends no more.
local function wait_of(id)
  local nth = is_writer(id) and -1 or math.max(0, redis.call('ZCARD', holders) - permits)
  return tonumber(redis.call('ZRANGE', holders, nth, nth, 'WITHSCORES')[2]) - ms
end

local function refuse()
  local id = head() or me
  local left = wait_of(id)
  if is_writer(id) then left = math.min(left, ${WRITER_ASKS_EVERY_MS}) end
  return {0, left, redis.call('ZRANK', queue, me) or -1, keep_gate(found)}
end
`;

/** What there is for one who wants the lock; `name`: what the key is in use as, '' for unknown. */
export type Entering = Answer | { readonly is: 'other'; readonly name: string };

export function enteringOf(reply: unknown, tokens: number): Entering {
  const [code, detail, third, echoes = 0] = reply as readonly [
    number,
    number | string,
    number?,
    number?,
  ];
  if (code === -1) return { is: 'other', name: String(detail) };
  if (code === 1) {
    const block = { first: BigInt(detail), count: tokens };
    return { is: 'acquired', tokens: block, contended: third === 1, echoes };
  }
  const place = third === undefined || third < 0 ? undefined : third;
  return { is: 'held', remainingMs: Number(detail), place, echoes };
}
