-- A run is accepted.
--
-- KEYS  1  sorted set of claims
--       2  hash of records
--       3  sorted set of all runs
--       4  sorted set of them by user
--       5  sorted set of runs that have not ended
--       6  what its key was used for; that of claims again where there is none
-- ARGV  1  run
--       2  what is told of it
--       3  its member of all
--       4  its member of those by user
--       5  fingerprint of what was asked for; empty where there is no key
--
-- Answers 1; 0 where its claim is not there any more: then it is not accepted. Of a run that is, it answers 1 again.

if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return redis.call('HEXISTS', KEYS[2], ARGV[1]) end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[3], 0, ARGV[3])
redis.call('ZADD', KEYS[4], 0, ARGV[4])
redis.call('ZADD', KEYS[5], 0, ARGV[1])
if ARGV[5] ~= '' then redis.call('SET', KEYS[6], ARGV[5] .. ' ' .. ARGV[1] .. ' 1', 'XX', 'KEEPTTL') end
return 1
