-- Ends the telling of a node that is gone: all who are to know of it at this node do.
--
-- KEYS[1]  nodes         hash: node id -> what is known of it
-- KEYS[2]  gone          sorted set of the service of the teller: node id -> until when the teller has it
-- KEYS[3]  gone          the one of the other service
-- KEYS[4]  claims        hash: "<service>:<node id>" -> the node that is being told of it
-- ARGV[1]  the teller's node id
-- ARGV[2]  its service
-- ARGV[3]  the id of the node that is gone
--
-- Answers 1, or 0 where another node has it by now; then nothing is done.
local claim = ARGV[2] .. ':' .. ARGV[3]
if redis.call('HGET', KEYS[4], claim) ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[4], claim)
redis.call('ZREM', KEYS[2], ARGV[3])
if not redis.call('ZSCORE', KEYS[3], ARGV[3]) then redis.call('HDEL', KEYS[1], ARGV[3]) end
return 1
