import { defineScript, type Script } from '@redcache/core/toolkit';

/** A script of one key that many calls, each with a key of its own, may run together. */
export interface BatchedScript extends Script {
  /** How many arguments each call has. */
  readonly args: number;
}

/**
 * `lua`: what one call does, with its own `KEYS` and `ARGV`. `shared`: what is defined once, before.
 *
 * A call answers, or answers a function that goes on once all calls have come as far. That is what
 * calls agree on in which order they read and write: Redis 7.0 tracks all keys of a script with every
 * read in it, so a write that comes after the read of another call is pushed as if this key had been
 * read too, and one that was written before is tracked although nobody will read it.
 *
 * Called for one key a script is as if nothing were around it. For several it answers a list, in their
 * order; what goes wrong with one of them is its own answer and none of the others' business.
 */
export function defineBatched(definition: {
  readonly lua: string;
  readonly shared: string;
  readonly args: number;
}): BatchedScript {
  const { lua, shared, args } = definition;
  const text = `${shared}
local function call(KEYS, ARGV)
${lua}
end

if #KEYS == 1 then
  local answer = call(KEYS, ARGV)
  while type(answer) == 'function' do answer = answer() end
  return answer
end
local function safely(work, ...)
  local is_done, answer = pcall(work, ...)
  if is_done or type(answer) == 'table' then return answer end
  return redis.error_reply(tostring(answer))
end
local answers = {}
for i, key in ipairs(KEYS) do
  answers[i] = safely(call, {key}, {unpack(ARGV, (i - 1) * ${args} + 1, i * ${args})})
end
repeat
  local is_over = true
  for i, answer in ipairs(answers) do
    if type(answer) == 'function' then
      is_over = false
      answers[i] = safely(answer)
    end
  end
until is_over
return answers
`;
  return { ...defineScript({ keys: 1, lua: text }), args };
}
