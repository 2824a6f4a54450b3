-- Makes a run a node's, unless another has it and lives. Who has said nothing for the time of a lease is taken for dead;
-- a taker that was away itself gives him some more time, as what kept them both away may have been Redis.
--
-- KEYS  1  hash of the owners of runs
--       2  sorted set of these runs by the time until which their owners are believed to live, in ms
-- ARGV  1  run
--       2  the node
--       3  the time of a lease, in ms
--       4  for how long the taker believes in an owner whose time is over, in ms
--
-- An owner lives no longer than for a lease unheard, also where the clock was set back since he was.
--
-- Answers 0 where the run is the node's now; else after how many ms to ask again.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local owner = redis.call('HGET', KEYS[1], ARGV[1])
if owner and owner ~= ARGV[2] then
  local left = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or 0) - now
  if left > tonumber(ARGV[3]) then
    left = tonumber(ARGV[3])
    redis.call('ZADD', KEYS[2], now + left, ARGV[1])
  end
  local patience = math.max(left, tonumber(ARGV[4]))
  if patience > 0 then return patience end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[3]), ARGV[1])
return 0
