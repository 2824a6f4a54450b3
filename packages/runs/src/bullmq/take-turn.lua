-- Gives a run that is to wait its turn among those of all users: each user's next comes one turn after his last, and
-- none before the turn that is on. So users take turns, however many runs each has waiting.
--
-- KEYS  1  hash of the turns
--            now          the turn that is on
--            last:<user>  the last turn of a user of whom something waits
--            run:<run>    "<turn> <user>" of a run that waits
-- ARGV  1  run
--       2  user
--       3  the last turn there can be; whoever is past it shares it
--
-- Answers the turn, from 1. A run that has one keeps it.

local known = redis.call('HGET', KEYS[1], 'run:' .. ARGV[1])
if known then return tonumber(string.match(known, '^%d+')) end

local now = tonumber(redis.call('HGET', KEYS[1], 'now') or 0)
local last = tonumber(redis.call('HGET', KEYS[1], 'last:' .. ARGV[2]) or 0)
local turn = math.min(math.max(now, last) + 1, tonumber(ARGV[3]))
redis.call('HSET', KEYS[1], 'last:' .. ARGV[2], turn, 'run:' .. ARGV[1], string.format('%d %s', turn, ARGV[2]))
return turn
