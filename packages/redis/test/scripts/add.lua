-- Adds to a number, and tells of it.
--
-- KEYS[1]  the number
-- ARGV[1]  what to add
-- ARGV[2]  SPUBLISH or PUBLISH
-- ARGV[3]  the channel, in the slot of the key
--
-- Answers the sum and the Redis type of the key.

local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
if ARGV[2] then
  redis.call(ARGV[2], ARGV[3], tostring(sum))
end
return { sum, redis.call('TYPE', KEYS[1]).ok }
