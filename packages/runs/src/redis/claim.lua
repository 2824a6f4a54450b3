-- Takes the id of a run that is about to be accepted, and its key where it has one. A claim that nobody renews is no
-- longer believed: its key is free then, and its run can be accepted no more. Who asks for the same goes on with what was
-- prepared for it.
--
-- KEYS  1  sorted set of claims
--       2  what the key was used for; that of claims again where there is none
--       3  sorted set of runs whose logs are to be dropped
-- ARGV  1  run
--       2  how long the claim is believed, in ms
--       3  fingerprint of what is asked for; empty where there is no key
--       4  how long the key is remembered, in ms
--
-- Answers {'ours', run, 1, the run as which it is prepared: itself, or the first of its key of which nothing came};
-- {'theirs', the run that has the key, 1 where it is accepted, else 0, the same of it where it is not}; {'conflict', that
-- run, 0, ''} where it was used for something else.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local prepared = ARGV[1]

if ARGV[3] ~= '' then
  local used = redis.call('GET', KEYS[2])
  if used then
    local fingerprint, run, accepted, as = string.match(used, '^(%S+) (%S+) (%d) ?(%S*)$')
    local believed = accepted == '1' or tonumber(redis.call('ZSCORE', KEYS[1], run) or 0) > now
    if believed then
      if fingerprint ~= ARGV[3] then return { 'conflict', run, 0, '' } end
      return { 'theirs', run, tonumber(accepted), as }
    end
    if redis.call('ZREM', KEYS[1], run) == 1 then redis.call('ZADD', KEYS[3], 0, run) end
    if fingerprint == ARGV[3] and as ~= '' then prepared = as end
  end
  redis.call('SET', KEYS[2], ARGV[3] .. ' ' .. ARGV[1] .. ' 0 ' .. prepared, 'PX', ARGV[4])
end

redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
return { 'ours', ARGV[1], 1, prepared }
