/**
 * Lua for a script of one's own that may act only while a lock is held: `is_held(key, holder)`. Then
 * nothing comes between the question and the act, however long a process was stopped before.
 *
 * `key`: of the lock in Redis, which is the `prefix` of its `createLocks` followed by the key that its
 * users call it by; in a cluster all keys of a script are in one slot. `holder`: {@link Lock.holder}.
 * Callers of one process may hold a lock one after the other under the same, so a script has to be
 * answered before its caller gives the lock back.
 *
 * For locks that stand in one key: not those of a majority, semaphores and read-write locks. Reads the
 * key by GET, so that the connection tracks it from then on. What no lock wrote is not held.
 *
 * Answers true; else false and what there is: nothing (0), or another holder (-1).
 */
export const HELD: string = `
local function is_held(key, holder)
  local value = redis.pcall('GET', key)
  if not value then return false, 0 end
  if type(value) ~= 'string' or string.sub(value, 1, #holder + 1) ~= holder .. ':' then
    return false, -1
  end
  return true
end
`;
