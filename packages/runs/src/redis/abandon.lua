-- A run is not accepted after all, and its key is free.
--
-- KEYS  1  sorted set of claims
--       2  hash of records
--       3  sorted set of all runs
--       4  sorted set of them by user
--       5  sorted set of runs that have not ended
--       6  what its key was used for; that of claims again where there is none
-- ARGV  1  run
--       2  its member of all; empty where it was never added
--       3  its member of those by user
--       4  '1' where it has a key
--
-- Answers 1.

redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
if ARGV[2] ~= '' then
  redis.call('ZREM', KEYS[3], ARGV[2])
  redis.call('ZREM', KEYS[4], ARGV[3])
end
if ARGV[4] == '1' then
  local used = redis.call('GET', KEYS[6])
  if used and string.match(used, '^%S+ (%S+)') == ARGV[1] then redis.call('DEL', KEYS[6]) end
end
return 1
