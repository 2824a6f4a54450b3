-- Appends a batch to a log: all of it or nothing, in one step.
--
-- ARGV, one after another:
--   life      the log as the caller knows it; '' on no account
--   clock     the time in ms; '' for the server's
--   origin    <node>.<k>, the caller's own name for this call
--   again     where the call was made before, and may have been done: the number that it stands behind then; else ''
--   known     number of a place that the log has had, by what the caller knows; 0 for none; then its ms, '' where that must be
--             the head, so that this gets the place behind it; then its origin, '' where not known
--   epoch     '' where it is not checked
--   closes    '1' where the last entry is the terminal one
--   behind    origin of a call that this one comes after; '' for none; then the number that that stands behind, and its
--             once key or ''
--   once key  '' for none; then its fingerprint; then its window in ms
--   bytes     that are kept; '' for no bound
--   trail     places that are remembered
--   publish   PUBLISH or SPUBLISH; then the channel of everything; then that of hints
--   changed   attributes as JSON for those who follow; '' for none; then their count, and of each: name, '1' to set or '0' to
--             take away, value
--   entries   their count, and of each: head, its length in UTF-16 units, data, its length, count of topics, and of each of
--             these: topic, its channel ('' where a hint will do), events that are kept, ms that they are kept
--
-- Answers  {'ok', n, ms, version}   the first of the batch, of an empty one the head; version of the attributes where they
--                                  were changed, else 0
--          {'known', n, ms}   the once key was there; n is 0 where nothing was appended then
--          {'lost'}   the log does not have the place that the caller knows of, or the call that this one comes after, as
--                     after a failover
--          {'conflict'}, {'closed'}, {'stale', epoch}, {'gone'}, {'lost'}: nothing was done
--
-- Tells each entry on the channels of its topics and on that of everything, in the order of the numbers; entries without
-- topics only there, a batch of them together. A message is lines, then head and data of each entry without a separator:
--   E <life> <origin> <count of entries>, then for each:
--   <n> <ms> <'1' if terminal> <index in the batch> <length of head> <length of data> <previous numbers, one a topic>
-- An entry under many topics is told as `H <life> <n> <ms>`, and attributes before the entries as
--   A <life> <version>\n<JSON>
-- So is what is appended again: whoever still reads a server that had it already may not take it for new.

local NO_TOPIC = ''
local at = 0
local function take()
  at = at + 1
  return ARGV[at]
end

local life, given, origin, again = take(), take(), take(), take()
local seenN, seenMs, seenOrigin = tonumber(take()), tonumber(take()), take()
local raised, closes = take(), take() == '1'
local behind, behindN, behindKey = take(), take(), take()
local key, fingerprint, window = take(), take(), take()
local maxBytes, trail, publish, whole, hints = take(), take(), take(), take(), take()

local meta = redis.call('HMGET', META, 'life', 'n', 'ms', 'c', 'e', 'o')
if meta[1] ~= life then return { 'gone' } end
local n, headMs = tonumber(meta[2]), tonumber(meta[3])

-- Mostly it is the head.
if not seenMs then
  if seenN ~= n or headMs > tonumber(given) then return { 'lost' } end
elseif (seenN ~= n or seenMs ~= headMs) and not stands(n, seenN, seenMs, seenOrigin) then
  return { 'lost' }
end

-- Where a call stands, if that is behind this number.
local function stored(name, sinceN)
  for _, passed in ipairs(redis.call('XRANGE', TRAIL, text(tonumber(sinceN) + 1), '+')) do
    if field(passed, 'o') == name then return place(passed[1]) end
  end
  return nil
end

local epoch = tonumber(meta[5])
local isStale = raised ~= '' and tonumber(raised) < epoch
if again ~= '' then
  local number, ms = stored(origin, again)
  -- Also of what was done in time: who is told of that would take himself for the owner still.
  if number then return isStale and { 'stale', epoch } or { 'ok', number, ms, 0 } end
end

if meta[4] == '1' then return { 'closed' } end
if isStale then return { 'stale', epoch } end
if behind ~= '' and not stored(behind, behindN) then
  -- Or another has stored it.
  if behindKey == '' or redis.call('EXISTS', ONCE .. life .. ':' .. behindKey) == 0 then return { 'lost' } end
end
local now = clock(given)

local once = key ~= '' and ONCE .. life .. ':' .. key
if once then
  local known = redis.call('GET', once)
  if known then
    local expires, knownN, knownMs, knownFor = string.match(known, '^(%d+) (%d+) (%d+) (.*)$')
    if tonumber(expires) > now then
      if knownFor ~= fingerprint then return { 'conflict' } end
      return { 'known', tonumber(knownN), tonumber(knownMs) }
    end
  end
end

local changed = take()
local attributes, version = tonumber(take()), 0
for _ = 1, attributes do
  local name, isSet, value = take(), take(), take()
  if isSet == '1' then redis.call('HSET', META, 'a:' .. name, value) else redis.call('HDEL', META, 'a:' .. name) end
end
if attributes > 0 then
  version = redis.call('HINCRBY', META, 'v', 1)
  redis.call(publish, whole, 'A ' .. life .. ' ' .. version .. '\n' .. changed)
end
if raised ~= '' then redis.call('HSET', META, 'e', raised) end

local ms = math.max(now, headMs)
local lines, payload = {}, {}
-- Tells what has gathered, up to the last that was appended.
local function tell(channels)
  if #lines == 0 then return end
  local message = 'E ' .. life .. ' ' .. origin .. ' ' .. #lines .. '\n' .. table.concat(lines, '\n') .. '\n'
    .. table.concat(payload)
  if again ~= '' then message = 'H ' .. life .. ' ' .. text(n) .. ' ' .. text(ms) end
  lines, payload = {}, {}
  for channel in pairs(channels) do redis.call(publish, channel, message) end
  redis.call(publish, whole, message)
end

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
  if hasTopics or i == 1 then redis.call('XADD', TRAIL, 'MAXLEN', '~', trail, id, 'o', origin) end
  local isLast = closes and i == count
  if isLast then redis.call('HSET', META, 'c', '1') end
  -- In their order: a reader of two topics has come as far as the last that it was told.
  if hasTopics then tell({}) end
  lines[#lines + 1] = table.concat({ text(n), text(ms), isLast and '1' or '0', i - 1, headLength, dataLength, table.concat(previous, ',') }, ' ')
  payload[#payload + 1] = head
  payload[#payload + 1] = data
  if hasTopics then
    tell(channels)
    if isWide then redis.call(publish, hints, 'H ' .. life .. ' ' .. text(n) .. ' ' .. text(ms)) end
  end
end
tell({})

if count > 0 then redis.call('HSET', META, 'n', text(n), 'ms', text(ms)) end
if once then
  local value = text(now + tonumber(window)) .. ' ' .. (count > 0 and text(first) or '0') .. ' ' .. text(ms) .. ' ' .. fingerprint
  redis.call('SET', once, value, 'PX', window)
end

local kept = bytes > 0 and redis.call('HINCRBY', META, 'b', bytes) or 0
if maxBytes ~= '' then
  -- The oldest of all is the first of the topic whose first is the lowest; another that has it, too, is the next.
  while kept > tonumber(maxBytes) do
    local oldest = redis.call('ZRANGE', FIRSTS, 0, 0, 'WITHSCORES')
    if #oldest == 0 then break end
    local limit = tonumber(oldest[2])
    trimTopic(oldest[1], function(number) return number <= limit end, 1)
    kept = tonumber(redis.call('HGET', META, 'b'))
  end
end
return { 'ok', count > 0 and first or n, count > 0 and ms or headMs, version }
