-- Deletes a log and all that is in it.
--
-- ARGV  1 PUBLISH or SPUBLISH  2 the channel of everything
--
-- Answers 1. Tells `D <life>`. Keys that were appended with name the life of the log, and end with their window. That it was
-- dropped is remembered for a minute, so that nobody takes it for lost.

local life = redis.call('HGET', META, 'life')
for _, topic in ipairs(redis.call('ZRANGE', TOPICS, 0, -1)) do redis.call('UNLINK', STREAM .. topic) end
redis.call('UNLINK', META, TOPICS, FIRSTS, DUE, EMPTY, TRIMMED, AGES, TRAIL, SHARED)
if life then
  redis.call('SET', ONCE .. life, '', 'PX', 60000)
  redis.call(ARGV[1], ARGV[2], 'D ' .. life)
end
return 1
