-- A run that the index lost while its log was kept is known again.
--
-- KEYS  1  hash of records
--       2  sorted set of all runs
--       3  sorted set of them by user
--       4  sorted set of runs that have not ended
--       5  sorted set of ended runs
--       6  sorted set of claims
--       7  sorted set of runs that are gone
--       8  sorted set of runs whose logs are to be dropped
--       9  what its key was used for; that of claims again where there is none
-- ARGV  1  run
--       2  what is told of it
--       3  its member of all
--       4  its member of those by user
--       5  when it ended, in ms; empty where it goes on
--       6  fingerprint of what was asked for; empty where there is no key
--       7  how long the key is remembered yet, in ms
--       8  '1' where it surely goes on, whatever is known of it
--
-- Answers 'known'; 'claimed' where it is about to be accepted, and 'gone' where it is kept no longer: then it is not to be
-- known. What is known of it already stays, as it may be newer, but where it surely goes on.

for _, key in ipairs({ KEYS[7], KEYS[8] }) do
  if redis.call('ZSCORE', key, ARGV[1]) then return 'gone' end
end
if ARGV[8] == '1' then
  redis.call('ZREM', KEYS[6], ARGV[1])
  redis.call('ZREM', KEYS[5], ARGV[1])
  redis.call('HDEL', KEYS[1], ARGV[1])
elseif redis.call('ZSCORE', KEYS[6], ARGV[1]) then
  return 'claimed'
end
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[3])
redis.call('ZADD', KEYS[3], 0, ARGV[4])
if ARGV[5] ~= '' then
  redis.call('ZADD', KEYS[5], ARGV[5], ARGV[1])
elseif not redis.call('ZSCORE', KEYS[5], ARGV[1]) then
  redis.call('ZADD', KEYS[4], 0, ARGV[1])
end
if ARGV[6] ~= '' then redis.call('SET', KEYS[9], ARGV[6] .. ' ' .. ARGV[1] .. ' 1', 'NX', 'PX', ARGV[7]) end
return 'known'
