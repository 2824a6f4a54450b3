-- Looks which commands the user may not run. ACLs are looked at before anything is done, and a key of a type that a command
-- is not for keeps it from doing anything.
--
-- KEYS[1]  a key that is nobody's; it is there only while this runs
--
-- Answers the names of the commands that are refused: of those that our scripts use, and those of BullMQ.

local key = KEYS[1]
local refused = {}

local function try(command, ...)
  local answer = redis.pcall(command, ...)
  local why = type(answer) == 'table' and answer.err or ''
  -- Redis 7.0 has no code of its own for this in a script. Unknown is what was renamed away (`rename-command`).
  for _, refusal in ipairs({ 'NOPERM', "can't run this command", 'Unknown Redis command' }) do
    if string.find(why, refusal, 1, true) then
      table.insert(refused, command)
      break
    end
  end
end

try('TIME')
-- First of those with a key, so that it is text to those that follow.
try('SET', key, '1', 'PX', 1000)
for _, command in ipairs({
  'GET', 'INCR', 'EXISTS', 'TYPE', 'PTTL', 'PERSIST', 'HGETALL', 'HLEN', 'SMEMBERS', 'SCARD', 'LLEN', 'RPOP', 'LPOP',
  'ZCARD', 'ZPOPMIN', 'XLEN',
}) do try(command, key) end
for _, command in ipairs({
  'HGET', 'HDEL', 'HMGET', 'HEXISTS', 'LPUSH', 'RPUSH', 'LPOS', 'LINDEX', 'SADD', 'SREM', 'SISMEMBER', 'SSCAN',
  'ZREM', 'ZSCORE', 'ZMSCORE', 'XDEL',
}) do try(command, key, '1') end
for _, command in ipairs({
  'HSET', 'HMSET', 'HSETNX', 'HINCRBY', 'LRANGE', 'LTRIM', 'LREM', 'ZADD', 'ZCOUNT', 'ZRANGE', 'ZRANGEBYLEX',
  'ZRANGEBYSCORE', 'ZREVRANGEBYSCORE', 'ZREMRANGEBYRANK', 'ZREMRANGEBYSCORE', 'XRANGE', 'XREVRANGE',
}) do try(command, key, '1', '1') end
-- Both are keys: another than this may be one that the user may not touch.
try('RPOPLPUSH', key, key)
try('XADD', key, '1-1', 'x', '')
try('XTRIM', key, 'MAXLEN', '1')
try('ZINCRBY', key, '1', '1')
try('INCRBY', key, '1')
try('PEXPIRE', key, '1000')
try('PEXPIREAT', key, '1')
try('UNLINK', key)
try('DEL', key)
return refused
