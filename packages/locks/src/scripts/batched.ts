import { defineScript, type Script } from '@redcache/core/toolkit';

/** A script of one key that many calls, each with a key of its own, may run together. */
export interface BatchedScript extends Script {
  /** How many arguments each call has. */
  readonly args: number;
  /** As it is written: what one call does. */
  readonly ofOne: string;
}

/**
 * `header`: what the script says of itself. `shared`: what is defined once. `steps`: what one call does,
 * with its own `KEYS` and `ARGV`; a step answers, or answers nil and what the next one finds as `seen`.
 *
 * All calls take a step before any takes the next. That is how calls agree on in which order they read
 * and write: Redis 7.0 tracks all keys of a script with every read in it, so a write that comes after the
 * read of another call is pushed as if this key had been read too, and one that was written before is
 * tracked although nobody will read it.
 *
 * Called for one key a script is as if nothing were around it. For several it answers a list, in their
 * order; what goes wrong with one of them is its own answer and none of the others' business.
 */
export function defineBatched(definition: {
  readonly header: string;
  readonly shared: string;
  readonly steps: readonly string[];
  readonly args: number;
}): BatchedScript {
  const { header, shared, steps, args } = definition;
  const lua = `${header}${shared}
local steps = {
${steps.map((step) => `function(key, at, seen)${ofCall(step)}end`).join(',\n')}
}

if #KEYS == 1 then
  local answer, seen
  for _, step in ipairs(steps) do
    answer, seen = step(KEYS[1], 0, seen)
    if answer then return answer end
  end
end
local answers, seen = {}, {}
for _, step in ipairs(steps) do
  for i, key in ipairs(KEYS) do
    if not answers[i] then
      local is_done, answer, found = pcall(step, key, (i - 1) * ${args}, seen[i])
      if not is_done and type(answer) ~= 'table' then answer = redis.error_reply(tostring(answer)) end
      answers[i], seen[i] = answer, found
    end
  end
end
return answers
`;
  return { ...defineScript({ keys: 1, lua }), args, ofOne: header + steps.join('\n') };
}

/** A step as the calls of a batch take it, each with its own part of the arguments. */
function ofCall(step: string): string {
  return step.replaceAll('KEYS[1]', 'key').replaceAll(/ARGV\[(\d+)\]/g, 'ARGV[at + $1]');
}
