/** How much longer than the lease the last fencing token is remembered; then the clock covers. */
export const TOKEN_OUTLIVES_LEASE_MS = 3_600_000;

/**
 * Lua that reserves fencing tokens.
 *
 * They are the server's time in microseconds, or follow the last one given out where the clock does
 * not say more, so that they rise even after the last one was flushed. All stay below 2^53, so that
 * Lua counts them exactly; a last one beyond that is none of ours. `SET … GET` instead of a GET:
 * what only these scripts read need not be tracked.
 */
export const FENCING: string = `
-- Those who ask in one script mostly get the same.
local formatted, as_text
local function text(token)
  if token ~= formatted then
    formatted, as_text = token, string.format('%.0f', token)
  end
  return as_text
end

local us
local function now_us()
  -- Time stands still while a script runs.
  if not us then
    local now = redis.call('TIME')
    us = now[1] * 1000000 + now[2]
  end
  return us
end

local function reserve(fence, lease_ms, count, token)
  local remember_ms = lease_ms + ${TOKEN_OUTLIVES_LEASE_MS}
  local last = redis.call('SET', fence, text(token + count - 1), 'PX', remember_ms, 'GET')
  last = tonumber(last or '')
  if last and last >= token and last < 9007199254740991 - count then
    token = last + 1
    redis.call('SET', fence, text(token + count - 1), 'PX', remember_ms)
  end
  return token
end
`;
