-- The nodes whose lease holds.
--
-- KEYS[1]  leases   sorted set: node id -> when its lease ends, in ms by this server's clock
-- KEYS[2]  nodes    hash: node id -> what is known of it
--
-- Answers ids and the texts of KEYS[2], in turn.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], '(' .. now, '+inf', 'BYSCORE')) do
  found[#found + 1] = id
  found[#found + 1] = redis.call('HGET', KEYS[2], id) or ''
end
return found
