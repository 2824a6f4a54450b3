-- A run has ended.
--
-- KEYS  1  hash of records
--       2  sorted set of ended runs
--       3  sorted set of runs that have not ended
-- ARGV  1  run
--       2  what is told of it from now on
--       3  when it ended, in ms
--
-- Answers 1; 0 where there is no such run, as it is kept no longer.

if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return 1
