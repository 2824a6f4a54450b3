-- Notes that a session was used, among those that are counted with it, and lets go of the least recently used.
--
-- KEYS[1]  the sessions that are counted together, by when they were used
-- ARGV[1]  the session
-- ARGV[2]  how many there may be
-- ARGV[3]  how long one is safe after its use, in ms: a node may remember for so long whose it is
-- ARGV[4]  how long it is kept after its use, in ms
--
-- Answers those that are too many.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[4])
local surplus = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[2])
if surplus <= 0 then return {} end
local oldest = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3], 'LIMIT', 0, surplus)
for _, session in ipairs(oldest) do redis.call('ZREM', KEYS[1], session) end
return oldest
