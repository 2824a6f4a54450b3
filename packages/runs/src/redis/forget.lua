-- Lets go of ended runs that are too old or too many, and of claims that are no longer believed. Whoever calls it is to
-- drop their logs; what nobody said to be dropped for a while is answered again.
--
-- KEYS  1  hash of records
--       2  sorted set of all runs
--       3  sorted set of them by user
--       4  sorted set of ended runs
--       5  sorted set of claims
--       6  sorted set of runs that are gone
--       7  sorted set of runs whose logs are to be dropped
-- ARGV  1  how long ended runs are kept, in ms
--       2  how many ended runs are kept
--       3  how many runs that are gone are remembered
--       4  how long who drops has for it, in ms
--       5  the most of each to let go of in one call
--
-- Answers the runs whose logs are to be dropped.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local most = tonumber(ARGV[5])

local late = redis.call('ZRANGEBYSCORE', KEYS[7], '-inf', now - tonumber(ARGV[4]), 'LIMIT', 0, most)
local old = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now - tonumber(ARGV[1]), 'LIMIT', 0, most)
local excess = math.min(redis.call('ZCARD', KEYS[4]) - tonumber(ARGV[2]), most)
-- Both are the oldest: the more of the two holds the other.
if excess > #old then old = redis.call('ZRANGE', KEYS[4], 0, excess - 1) end
local lost = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now, 'LIMIT', 0, most)

for _, run in ipairs(old) do
  local told = redis.call('HGET', KEYS[1], run)
  if told then
    local members = cjson.decode(told)
    redis.call('ZREM', KEYS[2], members.all)
    redis.call('ZREM', KEYS[3], members.byUser)
    redis.call('HDEL', KEYS[1], run)
  end
  redis.call('ZREM', KEYS[4], run)
  redis.call('ZADD', KEYS[6], now, run)
end
for _, run in ipairs(lost) do redis.call('ZREM', KEYS[5], run) end
redis.call('ZREMRANGEBYRANK', KEYS[6], 0, -tonumber(ARGV[3]) - 1)

local gone = {}
for _, runs in ipairs({ late, old, lost }) do
  for _, run in ipairs(runs) do
    gone[#gone + 1] = run
    redis.call('ZADD', KEYS[7], now, run)
  end
end
return gone
