/**
 * Lua that names the keys beside a lock, as `besideOf` does: `tag` leads to their slot, '' if the lock
 * itself does between braces.
 */
export const BESIDE: string = `
local function sides(lock, tag)
  if tag == '' then return '{' .. lock .. '}:', '' end
  return '{' .. tag .. '}:', ':' .. lock
end

local function beside(lock, tag, name)
  local before, after = sides(lock, tag)
  return before .. name .. after
end
`;
