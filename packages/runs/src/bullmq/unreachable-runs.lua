-- Tells of which runs the owner has said nothing for the time of a lease.
--
-- KEYS  1  sorted set of owned runs, as in take-run.lua
-- ARGV  runs
--
-- Answers those of them.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local away = {}
for _, run in ipairs(ARGV) do
  local ends = redis.call('ZSCORE', KEYS[1], run)
  if ends and tonumber(ends) < now then away[#away + 1] = run end
end
return away
