-- Takes a node out, as where its lease had ended: somebody is told of it. What it was being told of itself goes to others.
--
-- KEYS[1]  leases         sorted set: node id -> when its lease ends, in ms by this server's clock
-- KEYS[2]  gone:gateway   sorted set: node id -> from when on a gateway may be told of it
-- KEYS[3]  gone:worker    the same for workers
-- KEYS[4]  claims         hash: "<service>:<node id>" -> the node that is being told of it
-- ARGV[1]  node id
-- ARGV[2]  its service
-- ARGV[3…] the ids of those that it is being told of
--
-- Answers 1, or 0 where it had no lease: then it is gone already.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local gone = { gateway = KEYS[2], worker = KEYS[3] }
for i = 3, #ARGV do
  local claim = ARGV[2] .. ':' .. ARGV[i]
  if redis.call('HGET', KEYS[4], claim) == ARGV[1] then
    redis.call('HDEL', KEYS[4], claim)
    redis.call('ZADD', gone[ARGV[2]], now, ARGV[i])
  end
end
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('ZADD', gone.gateway, now, ARGV[1])
redis.call('ZADD', gone.worker, now, ARGV[1])
return 1
