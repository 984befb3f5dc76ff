/**
 * Lua that takes the header of an envelope apart: `id_of` answers the id of a value or of a known
 * absence, `tail_of` how many milliseconds its key outlives its freshness; nil for anything else.
 * Both look at the first line alone, however long the value is. `sign_of` answers what tells apart
 * whatever one key holds one after the other; '' for nothing.
 */
export const HEADER: string = `
local function head_of(key) return redis.call('GETRANGE', key, 0, 159) end

local function id_of(head)
  return string.match(head, '^rc1 [vn] (%S+) ')
end

local function tail_of(head)
  local tail = string.match(head, '^rc1 v %S+ %S+ %d+ (%d+) %d+') or
    string.match(head, '^rc1 n %S+ %d+ (%d+) %d+')
  return tonumber(tail)
end

local function sign_of(key)
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'string' then return kind == 'none' and '' or kind end
  local head = head_of(key)
  return string.match(head, '^rc1 [vnlw] %S+') or redis.sha1hex(head)
end
`;
