-- Appends a batch to a log: all of it or nothing, in one step.
--
-- ARGV  1 life      the log as the caller knows it; '' on no account
--       2 clock     the time in ms; '' for the server's
--       3 origin    <node>.<k>, the caller's own name for this call
--       4 again     where the call was made before, and may have been done: the number that it stands behind then; else ''
--       5 known     number of a place that the log has had, by what the caller knows; 0 for none
--       6 its ms, '' where that must be the head, so that this gets the place behind it;  7 its origin, '' where not known
--       8 epoch     '' where it is not checked
--       9 closes    '1' where the last entry is the terminal one
--       10 once key '' for none;  11 its fingerprint;  12 its window in ms
--       13 bytes    that are kept; '' for no bound
--       14 trail    places that are remembered
--       15 publish  PUBLISH or SPUBLISH;  16 channel of everything;  17 channel of hints
--       18 attributes changed, as JSON for those who follow; '' for none
--       19 count of attributes, then for each: name, '1' to set or '0' to take away, value
--       count of entries, then for each: head, its length in UTF-16 units, data, its length, count of topics, then for each
--       of these: topic, its channel ('' where a hint will do), events that are kept, ms that they are kept
--
-- Answers  {'ok', n, ms, version}   the first of the batch, of an empty one the head; version of the attributes where they
--                                  were changed, else 0
--          {'known', n, ms}   the once key was there; n is 0 where nothing was appended then
--          {'lost'}   the log does not have the place that the caller knows of, as after a failover
--          {'conflict'}, {'closed'}, {'stale', epoch}, {'gone'}, {'lost'}: nothing was done
--
-- Tells each entry on the channels of its topics and on that of everything, in the order of the numbers; entries without
-- topics only there, a batch of them together. A message is lines, then head and data of each entry without a separator:
--   E <life> <origin> <count of entries>, then for each:
--   <n> <ms> <'1' if terminal> <index in the batch> <length of head> <length of data> <previous numbers, one a topic>
-- An entry under many topics is told as `H <life> <n> <ms>`, and attributes before the entries as
--   A <life> <version>\n<JSON>

local NO_TOPIC = ''
local life, origin = ARGV[1], ARGV[3]
local meta = redis.call('HMGET', META, 'life', 'n', 'ms', 'c', 'e', 'o')
if meta[1] ~= life then return { 'gone' } end
local n, headMs = tonumber(meta[2]), tonumber(meta[3])

-- Mostly it is the head.
local seenN, seenMs = tonumber(ARGV[5]), tonumber(ARGV[6])
if not seenMs then
  if seenN ~= n or headMs > tonumber(ARGV[2]) then return { 'lost' } end
elseif (seenN ~= n or seenMs ~= headMs) and not stands(n, seenN, seenMs, ARGV[7]) then
  return { 'lost' }
end

if ARGV[4] ~= '' then
  for _, passed in ipairs(redis.call('XRANGE', TRAIL, text(tonumber(ARGV[4]) + 1), '+')) do
    if field(passed, 'o') == origin then
      local number, ms = place(passed[1])
      return { 'ok', number, ms, 0 }
    end
  end
end

if meta[4] == '1' then return { 'closed' } end
local epoch = tonumber(meta[5])
if ARGV[8] ~= '' and tonumber(ARGV[8]) < epoch then return { 'stale', epoch } end
local now = clock(ARGV[2])

local once = ARGV[10] ~= '' and ONCE .. life .. ':' .. ARGV[10]
if once then
  local known = redis.call('GET', once)
  if known then
    local expires, knownN, knownMs, fingerprint = string.match(known, '^(%d+) (%d+) (%d+) (.*)$')
    if tonumber(expires) > now then
      if fingerprint ~= ARGV[11] then return { 'conflict' } end
      return { 'known', tonumber(knownN), tonumber(knownMs) }
    end
  end
end

local at = 19
local function take()
  at = at + 1
  return ARGV[at - 1]
end

local attributes, version = tonumber(take()), 0
for _ = 1, attributes do
  local name, isSet, value = take(), take(), take()
  if isSet == '1' then redis.call('HSET', META, 'a:' .. name, value) else redis.call('HDEL', META, 'a:' .. name) end
end
if attributes > 0 then
  version = redis.call('HINCRBY', META, 'v', 1)
  redis.call(ARGV[15], ARGV[16], 'A ' .. life .. ' ' .. version .. '\n' .. ARGV[18])
end
if ARGV[8] ~= '' then redis.call('HSET', META, 'e', ARGV[8]) end

local lines, payload = {}, {}
-- Tells what has gathered.
local function tell(channels)
  if #lines == 0 then return end
  local message = 'E ' .. life .. ' ' .. origin .. ' ' .. #lines .. '\n' .. table.concat(lines, '\n') .. '\n'
    .. table.concat(payload)
  lines, payload = {}, {}
  for channel in pairs(channels) do redis.call(ARGV[15], channel, message) end
  redis.call(ARGV[15], ARGV[16], message)
end

local ms = math.max(now, headMs)
local first = n + 1
local count = tonumber(take())
local bytes = 0
for i = 1, count do
  n = n + 1
  local id = text(n) .. '-' .. text(ms)
  local head, headLength, data, dataLength, topicCount = take(), take(), take(), take(), tonumber(take())
  bytes = bytes + #data
  if topicCount > 1 then
    local number = text(n)
    redis.call('HSET', SHARED, number .. ':h', head, number .. ':d', data, number .. ':c', topicCount)
  end
  local previous, channels, isWide, hasTopics = {}, {}, false, false
  for _ = 1, topicCount do
    local topic, channel, maxEvents, maxAgeMs = take(), take(), tonumber(take()), take()
    hasTopics = hasTopics or topic ~= NO_TOPIC
    previous[#previous + 1] = redis.call('ZSCORE', TOPICS, topic) or '0'
    if channel == '' then isWide = isWide or topic ~= NO_TOPIC else channels[channel] = true end
    redis.call('ZADD', TOPICS, text(n), topic)
    if topicCount > 1 then
      redis.call('XADD', STREAM .. topic, id, 'x', '')
    else
      redis.call('XADD', STREAM .. topic, id, 'h', head, 'd', data)
    end
    local length = redis.call('XLEN', STREAM .. topic)
    if length == 1 then
      redis.call('ZADD', FIRSTS, text(n), topic)
      redis.call('ZADD', DUE, text(ms + tonumber(maxAgeMs)), topic)
      redis.call('ZREM', EMPTY, topic)
      redis.call('HSET', AGES, topic, maxAgeMs)
    elseif length > maxEvents then
      trimTopic(topic, function(_, _, left) return left > maxEvents end, math.huge)
    end
  end
  -- The entries of a run are in one stream, which tells its places itself.
  if hasTopics or i == 1 then redis.call('XADD', TRAIL, 'MAXLEN', '~', ARGV[14], id, 'o', origin) end
  local isLast = ARGV[9] == '1' and i == count
  if isLast then redis.call('HSET', META, 'c', '1') end
  -- In their order: a reader of two topics has come as far as the last that it was told.
  if hasTopics then tell({}) end
  lines[#lines + 1] = table.concat({ text(n), text(ms), isLast and '1' or '0', i - 1, headLength, dataLength, table.concat(previous, ',') }, ' ')
  payload[#payload + 1] = head
  payload[#payload + 1] = data
  if hasTopics then
    tell(channels)
    if isWide then redis.call(ARGV[15], ARGV[17], 'H ' .. life .. ' ' .. text(n) .. ' ' .. text(ms)) end
  end
end
tell({})

if count > 0 then redis.call('HSET', META, 'n', text(n), 'ms', text(ms)) end
if once then
  local value = text(now + tonumber(ARGV[12])) .. ' ' .. (count > 0 and text(first) or '0') .. ' ' .. text(ms) .. ' ' .. ARGV[11]
  redis.call('SET', once, value, 'PX', ARGV[12])
end

local kept = bytes > 0 and redis.call('HINCRBY', META, 'b', bytes) or 0
if ARGV[13] ~= '' then
  local maxBytes = tonumber(ARGV[13])
  -- The oldest of all is the first of the topic whose first is the lowest; another that has it, too, is the next.
  while kept > maxBytes do
    local oldest = redis.call('ZRANGE', FIRSTS, 0, 0, 'WITHSCORES')
    if #oldest == 0 then break end
    local limit = tonumber(oldest[2])
    trimTopic(oldest[1], function(number) return number <= limit end, 1)
    kept = tonumber(redis.call('HGET', META, 'b'))
  end
end
return { 'ok', count > 0 and first or n, count > 0 and ms or headMs, version }
