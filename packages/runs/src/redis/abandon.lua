-- A run is not accepted after all, and its key is free: for whatever is asked for with it, or for the same again, which
-- then goes on with what was prepared.
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
--       4  empty where it has no key, or nothing was prepared; else the run as which it was
--
-- Answers 1.

redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
if ARGV[2] ~= '' then
  redis.call('ZREM', KEYS[3], ARGV[2])
  redis.call('ZREM', KEYS[4], ARGV[3])
end
if KEYS[6] ~= KEYS[1] then
  local fingerprint, used_for = string.match(redis.call('GET', KEYS[6]) or '', '^(%S+) (%S+)')
  if used_for == ARGV[1] then
    if ARGV[4] == '' then
      redis.call('DEL', KEYS[6])
    else
      redis.call('SET', KEYS[6], fingerprint .. ' ' .. ARGV[1] .. ' 0 ' .. ARGV[4], 'KEEPTTL')
    end
  end
end
return 1
