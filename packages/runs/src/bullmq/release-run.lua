-- A node has done with a run.
--
-- KEYS  1  hash of the owners of runs, as in take-run.lua
--       2  sorted set of these runs, as there
-- ARGV  1  run
--       2  the node
--
-- Answers 1; 0 where it is not the node's.

if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
