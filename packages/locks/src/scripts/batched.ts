import { defineScript, type Script } from '@redcache/core/toolkit';

/** A script of one key that many calls, each with a key and a holder of its own, may run together. */
export interface BatchedScript extends Script {
  /** As it is written: what one call does. */
  readonly ofOne: string;
}

/**
 * Each is Lua that sees `KEYS[1]` and `ARGV`, and answers: an error is the answer of that call alone.
 * The last of the arguments is its holder, which is its own; it shares all others with every call of the
 * batch. `last` sees no call, and answers nothing.
 */
interface Steps {
  /** Before any key is read. Answers nil to go on. */
  readonly first?: string;
  /** `value`: what the key holds, false for nothing, or if it holds another type. */
  readonly second: string;
  /** Once all calls have been answered. */
  readonly last?: string;
}

/**
 * `header`: what the script says of itself. `shared`: what is defined once. `args`: how many arguments a
 * call has. Called for one key a script is as if nothing were around it. For several it answers a list, in
 * their order; what goes wrong with one of them is its own answer and none of the others' business.
 *
 * All calls take a step before any takes the next, and their keys are read between the two by a command
 * for all. That spares the server the most: what it does for each command, and, since Redis 7.0 tracks
 * all keys of a script with every read in it, as many entries as there are keys for each key. It is also
 * how calls agree on in which order they read and write: a write that comes after the read of another
 * call is pushed as if this key had been read too, and one that was written before is tracked although
 * nobody will read it.
 */
export function defineBatched(definition: {
  readonly header: string;
  readonly shared?: string;
  readonly args: number;
  readonly steps: Steps;
}): BatchedScript {
  const { header, shared = '', args, steps } = definition;
  const { first, second, last = '' } = steps;
  const lua = `${header}${shared}
local answers, values, count = {}, {}, #KEYS

local function answer(i, step, value)
  if count == 1 then
    answers[1] = step(KEYS[1], ARGV[${args}], value)
    return
  end
  local is_done, answer = pcall(step, KEYS[i], ARGV[${args - 1} + i], value)
  if not is_done and type(answer) ~= 'table' then answer = redis.error_reply(tostring(answer)) end
  answers[i] = answer
end
${first === undefined ? '' : `\nlocal function first(key, holder)${ofCall(first, args)}end\n\nfor i = 1, count do answer(i, first) end\n`}
if count > 1 then values = redis.pcall('MGET', unpack(KEYS)) end
-- One alone, or of a user who may only GET.
if count == 1 or values.err then
  for i = 1, count do
    local value = redis.pcall('GET', KEYS[i])
    values[i] = type(value) == 'string' and value
  end
end

local function second(key, holder, value)${ofCall(second, args)}end

for i = 1, count do
  if answers[i] == nil then answer(i, second, values[i]) end
end
${last}
if count == 1 then return answers[1] end
return answers
`;
  const ofOne = [header, first, second, last].join('\n');
  return { ...defineScript({ keys: 1, lua }), ofOne };
}

/** A step as the calls of a batch take it, each with its own key and holder. */
function ofCall(step: string, args: number): string {
  return step.replaceAll('KEYS[1]', 'key').replaceAll(`ARGV[${args}]`, 'holder');
}
