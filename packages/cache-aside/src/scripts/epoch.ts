/**
 * Lua for the scripts of groups. Epochs are counted in microseconds of the server's time, so that they
 * go on rising after the last one was lost. All stay below 2^53, so that Lua counts them exactly.
 */
export const EPOCH: string = `
local function text(epoch) return string.format('%.0f', epoch) end

local function now_us()
  local now = redis.call('TIME')
  return now[1] * 1000000 + now[2]
end
`;
