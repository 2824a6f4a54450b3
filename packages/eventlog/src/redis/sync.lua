-- Compares what a node has handed on with the log, in one round trip whatever the number of topics.
--
-- ARGV  1 life  2 and 3 number and ms of the head that the node knows  4 its origin, '' where it is not known
--       5 tells topics that have something after this number  6 version of the attributes that it knows
--
-- Answers {'ok', n, ms, '1' if closed, version, count of attributes, then for each: name, value; then topic, its last
--   number, topic, its last number, …}, attributes only where the version is another; {'lost'} where the log does not
--   have what the node has handed on; {'gone'} where it is another log, or none.

local meta = redis.call('HMGET', META, 'life', 'n', 'ms', 'c', 'v')
if meta[1] ~= ARGV[1] then return { 'gone' } end
local n = tonumber(ARGV[2])
if n > tonumber(meta[2]) then return { 'lost' } end
if n > 0 then
  local passed = redis.call('XREVRANGE', TRAIL, text(n), '-', 'COUNT', 1)[1]
  if passed then
    local passedN, passedMs = place(passed[1])
    local ms = tonumber(ARGV[3])
    if passedMs > ms then return { 'lost' } end
    if passedN == n and passedMs ~= ms then return { 'lost' } end
    if passedN == n and ARGV[4] ~= '' and field(passed, 'o') ~= ARGV[4] then return { 'lost' } end
  end
  local later = redis.call('XRANGE', TRAIL, text(n + 1), '+', 'COUNT', 1)[1]
  if later then
    local _, laterMs = place(later[1])
    if laterMs < tonumber(ARGV[3]) then return { 'lost' } end
  end
end

local answer = { 'ok', tonumber(meta[2]), tonumber(meta[3]), meta[4], tonumber(meta[5] or '0'), 0 }
if (meta[5] or '0') ~= ARGV[6] then
  local all = redis.call('HGETALL', META)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'a:' then
      answer[#answer + 1] = string.sub(all[i], 3)
      answer[#answer + 1] = all[i + 1]
      answer[6] = answer[6] + 1
    end
  end
end
for _, value in ipairs(redis.call('ZRANGEBYSCORE', TOPICS, '(' .. ARGV[5], '+inf', 'WITHSCORES')) do
  answer[#answer + 1] = value
end
return answer
