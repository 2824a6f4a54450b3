-- Has claims believed for longer.
--
-- KEYS  1  sorted set of claims
-- ARGV  1  for how long from now, in ms
--       2  and on: runs
--
-- Answers how many are there still.

local time = redis.call('TIME')
local until_ms = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
local there = 0
for i = 2, #ARGV do
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) then
    redis.call('ZADD', KEYS[1], 'XX', until_ms, ARGV[i])
    there = there + 1
  end
end
return there
