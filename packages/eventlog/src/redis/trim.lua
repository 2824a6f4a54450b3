-- Deletes what is older than its topic keeps, and gives up the memory of topics that have long held nothing. Any node
-- may do it, and several at once.
--
-- ARGV  1 clock, '' for the server's  2 how long it is remembered up to where an empty topic was trimmed, in ms
--       3 how many of them are  4 entries and topics that one call deletes at most
--
-- Answers 1 where there is more to do, else 0.

if redis.call('EXISTS', META) == 0 then return 0 end
local now, left = clock(ARGV[1]), tonumber(ARGV[4])
for _, topic in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', '(' .. text(now), 'LIMIT', 0, left)) do
  local age = tonumber(redis.call('HGET', AGES, topic) or '0')
  left = left - 1 - trimTopic(topic, function(_, ms) return ms < now - age end, math.max(1, left))
  if left <= 0 then return 1 end
end

-- The oldest first: the later a topic was trimmed, the more readers are told of a gap that is not theirs.
local excess = redis.call('ZCARD', EMPTY) - tonumber(ARGV[3])
local cut = now - tonumber(ARGV[2])
for i, topic in ipairs(redis.call('ZRANGE', EMPTY, 0, left - 1)) do
  if i > excess and tonumber(redis.call('ZSCORE', EMPTY, topic)) >= cut then return 0 end
  local trimmed = redis.call('HGET', TRIMMED, topic)
  if trimmed then
    local n, ms = place(trimmed)
    if n > tonumber(redis.call('HGET', META, 'ln') or '0') then redis.call('HSET', META, 'ln', text(n), 'lms', text(ms)) end
  end
  redis.call('HDEL', TRIMMED, topic)
  redis.call('HDEL', AGES, topic)
  redis.call('ZREM', EMPTY, topic)
  redis.call('ZREM', TOPICS, topic)
  if i == left then return 1 end
end
return 0
