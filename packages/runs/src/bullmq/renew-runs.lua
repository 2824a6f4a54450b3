-- A node says that it lives, and has its runs still: also those whose time was over, where nobody took them meanwhile,
-- and those that Redis knows no more. What was left by owners who never came back is forgotten in time.
--
-- KEYS  1  hash of the owners of runs, as in take-run.lua
--       2  sorted set of these runs, as there
-- ARGV  1  the node
--       2  the time of a lease, in ms
--       3  how long what nobody renews is kept, in ms
--       4  and on: runs
--
-- Answers those of them that are another's.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local lost = {}
for i = 4, #ARGV do
  local owner = redis.call('HGET', KEYS[1], ARGV[i])
  if owner and owner ~= ARGV[1] then
    lost[#lost + 1] = ARGV[i]
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[1])
    redis.call('ZADD', KEYS[2], now + tonumber(ARGV[2]), ARGV[i])
  end
end
for _, run in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[3]), 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[2], run)
  redis.call('HDEL', KEYS[1], run)
end
return lost
