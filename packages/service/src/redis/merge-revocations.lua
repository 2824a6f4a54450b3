-- Merges what a node says of revocations with what others said, and answers what it does not know yet.
--
-- KEYS[1]  what is said, a hash: by key `<at> <text>`, the text empty where it was taken back
-- KEYS[2]  in which order it was said: keys, by the number of their last change
-- KEYS[3]  the number of the last change
-- ARGV[1]  the number of the last change that the node has read; 0: it reads all
-- ARGV[2]  the key of that change; empty: there is none
-- ARGV[3]  how long something said is kept, in ms
-- ARGV[4]  how many changes are answered at most
-- ARGV[5…] what the node says: key, at (ms since 1970), text, …
--
-- Answers {0, number, key, `<at> <text>`, number, key, …}, the changes after the one that the node has read, its own
-- among them; or {1} where that one is not there, for this Redis has lost it: then the node says and reads all.
--
-- Of two that say something of the same key the later one counts, whoever comes first: so it does no harm to say
-- anything twice, and all nodes come to the same. What is older than it is kept goes away by itself. Numbers are
-- microseconds of Redis' clock, and always rise: those of a Redis that has lost some are not given anew.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = tonumber(redis.call('GET', KEYS[3])) or 0
local since, kept = tonumber(ARGV[1]), tonumber(ARGV[3])

local function moment(value)
  return value and tonumber(string.match(value, '^%d+')) or 0
end

for _, key in ipairs(redis.call('ZRANGE', KEYS[2], 0, 99)) do
  if moment(redis.call('HGET', KEYS[1], key)) + kept > now then break end
  redis.call('HDEL', KEYS[1], key)
  redis.call('ZREM', KEYS[2], key)
end

-- Before anything new is said of that key.
local is_lost = since > last
if ARGV[2] ~= '' then
  is_lost = is_lost or (tonumber(redis.call('ZSCORE', KEYS[2], ARGV[2])) or 0) < since
end

for i = 5, #ARGV, 3 do
  local key, at = ARGV[i], tonumber(ARGV[i + 1])
  if at > moment(redis.call('HGET', KEYS[1], key)) and at + kept > now then
    redis.call('HSET', KEYS[1], key, ARGV[i + 1] .. ' ' .. ARGV[i + 2])
    last = math.max(last + 1, time[1] * 1000000 + time[2])
    redis.call('ZADD', KEYS[2], string.format('%.0f', last), key)
    redis.call('SET', KEYS[3], string.format('%.0f', last))
  end
end

if is_lost then return { 1 } end
local answer = { 0 }
local changes = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[4])
for i = 1, #changes, 2 do
  answer[#answer + 1] = tonumber(changes[i + 1])
  answer[#answer + 1] = changes[i]
  answer[#answer + 1] = redis.call('HGET', KEYS[1], changes[i])
end
return answer
