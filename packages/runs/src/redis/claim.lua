-- Takes the id of a run that is about to be accepted, and its key where it has one. A claim that nobody renews is no
-- longer believed: its key is free then.
--
-- KEYS  1  sorted set of claims
--       2  what the key was used for; that of claims again where there is none
-- ARGV  1  run
--       2  how long the claim is believed, in ms
--       3  fingerprint of what is asked for; empty where there is no key
--       4  how long the key is remembered, in ms
--
-- Answers {'ours', run, 1}; {'theirs', the run that has the key, 1 where it is accepted, else 0}; {'conflict', that run, 0}
-- where it was used for something else.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if ARGV[3] ~= '' then
  local used = redis.call('GET', KEYS[2])
  if used then
    local fingerprint, run, accepted = string.match(used, '^(%S+) (%S+) (%d)$')
    local believed = accepted == '1' or tonumber(redis.call('ZSCORE', KEYS[1], run) or 0) > now
    if believed then
      if fingerprint ~= ARGV[3] then return { 'conflict', run, 0 } end
      return { 'theirs', run, tonumber(accepted) }
    end
  end
  redis.call('SET', KEYS[2], ARGV[3] .. ' ' .. ARGV[1] .. ' 0', 'PX', ARGV[4])
end

redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
return { 'ours', ARGV[1], 1 }
