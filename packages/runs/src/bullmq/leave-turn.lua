-- A run waits no more: it is executed now, or will never be. With the last that waits all turns are forgotten.
--
-- KEYS  1  hash of the turns, as in take-turn.lua
-- ARGV  1  run
--       2  '1' where its turn has come, '0' where it goes out of turn
--
-- Answers 1 where it waited, else 0.

local known = redis.call('HGET', KEYS[1], 'run:' .. ARGV[1])
if not known then return 0 end

local turn, user = string.match(known, '^(%d+) (.*)$')
redis.call('HDEL', KEYS[1], 'run:' .. ARGV[1])
if redis.call('HGET', KEYS[1], 'last:' .. user) == turn then redis.call('HDEL', KEYS[1], 'last:' .. user) end
if ARGV[2] == '1' then
  local now = tonumber(redis.call('HGET', KEYS[1], 'now') or 0)
  if tonumber(turn) > now then redis.call('HSET', KEYS[1], 'now', turn) end
end
local left = redis.call('HLEN', KEYS[1])
if left == 0 or (left == 1 and redis.call('HEXISTS', KEYS[1], 'now') == 1) then redis.call('DEL', KEYS[1]) end
return 1
