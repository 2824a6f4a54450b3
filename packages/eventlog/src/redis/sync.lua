-- Compares what a node has handed on with the log, in one round trip whatever the number of topics.
--
-- ARGV  1 life  2 and 3 number and ms of the last place that the node knows the log to have had  4 its origin, '' where it
--       is not known  5 tells topics that have something after this number  6 version of the attributes that it knows
--       7 and 8 number and ms of the head when it compared before, perhaps at another server than it has been told by since
--
-- Answers {'ok', n, ms, '1' if closed, version, count of attributes, then for each: name, value; then topic, its last
--   number, topic, its last number, …}, attributes only where the version is another; {'lost'} where the log does not
--   have what the node knows it to have had; {'gone'} where it is another log, or none.

local meta = redis.call('HMGET', META, 'life', 'n', 'ms', 'c', 'v')
if meta[1] ~= ARGV[1] then return { 'gone' } end
if not stands(tonumber(meta[2]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]) then return { 'lost' } end
if not stands(tonumber(meta[2]), tonumber(ARGV[7]), tonumber(ARGV[8]), '') then return { 'lost' } end
if tonumber(meta[5] or '0') < tonumber(ARGV[6]) then return { 'lost' } end

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
