--!df flags=allow-undeclared-keys
-- What the scripts of a log share. It stands before each of them.
--
-- KEYS of all of them, as LogKeys.all makes them (redis-keys.ts):
--   1 meta  2 topics  3 firsts  4 due  5 empty  6 trimmed  7 ages  8 trail  9 shared
--   10 what a topic's stream begins with  11 what a once key begins with
-- An entry's id in every stream is <n>-<ms>: it is found by its number.

local META, TOPICS, FIRSTS, DUE, EMPTY, TRIMMED, AGES, TRAIL, SHARED, STREAM, ONCE = KEYS[1], KEYS[2], KEYS[3],
  KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]

-- A whole number as text; Lua's own would round it.
local function text(number)
  return string.format('%.0f', number)
end

local function place(id)
  local at = string.find(id, '-', 1, true)
  return tonumber(string.sub(id, 1, at - 1)), tonumber(string.sub(id, at + 1))
end

-- Milliseconds since 1970, by the server's clock unless the caller brings his own.
local function clock(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- The value of a field of a stream's entry; nil where it has none.
local function field(entry, name)
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == name then return fields[i + 1] end
  end
  return nil
end

-- Whether the log has had this place, as whoever was told of it knows it; its origin is '' where that is not known.
local function stands(headN, n, ms, origin)
  if n > headN then return false end
  if n == 0 then return true end
  local passed = redis.call('XREVRANGE', TRAIL, text(n), '-', 'COUNT', 1)[1]
  if passed then
    local passedN, passedMs = place(passed[1])
    if passedN == n then return passedMs == ms and (origin == '' or field(passed, 'o') == origin) end
    if passedMs > ms then return false end
  end
  local later = redis.call('XRANGE', TRAIL, text(n + 1), '+', 'COUNT', 1)[1]
  if not later then return true end
  local _, laterMs = place(later[1])
  return laterMs >= ms
end

-- What an entry says: from its own stream, or where all of its topics share it.
local function said(entry)
  local head = field(entry, 'h')
  if head then return head, field(entry, 'd') end
  local n = place(entry[1])
  local both = redis.call('HMGET', SHARED, text(n) .. ':h', text(n) .. ':d')
  return both[1], both[2]
end

-- Deletes an entry of a topic. What it said goes with the last topic that has it.
local function forget(topic, entry)
  redis.call('XDEL', STREAM .. topic, entry[1])
  local data = field(entry, 'd')
  if not data then
    local n = text((place(entry[1])))
    if redis.call('HINCRBY', SHARED, n .. ':c', -1) > 0 then return end
    data = redis.call('HGET', SHARED, n .. ':d') or ''
    redis.call('HDEL', SHARED, n .. ':h', n .. ':d', n .. ':c')
  end
  redis.call('HINCRBY', META, 'b', -#data)
end

-- Deletes the oldest entries of a topic for as long as `isOver(n, ms, count)` says so, `limit` at most, and notes up to
-- where. Answers how many.
local function trimTopic(topic, isOver, limit)
  local dropped, last, rest = 0, nil, nil
  local left = redis.call('XLEN', STREAM .. topic)
  while not rest and dropped < limit do
    local page = redis.call('XRANGE', STREAM .. topic, '-', '+', 'COUNT', dropped == 0 and 2 or 32)
    if #page == 0 then break end
    for _, entry in ipairs(page) do
      local n, ms = place(entry[1])
      if dropped >= limit or not isOver(n, ms, left) then
        rest = entry
        break
      end
      forget(topic, entry)
      last, dropped, left = entry[1], dropped + 1, left - 1
    end
  end
  if not last then return 0 end
  redis.call('HSET', TRIMMED, topic, last)
  if left > 0 then
    rest = rest or redis.call('XRANGE', STREAM .. topic, '-', '+', 'COUNT', 1)[1]
    local n, ms = place(rest[1])
    redis.call('ZADD', FIRSTS, text(n), topic)
    redis.call('ZADD', DUE, text(ms + tonumber(redis.call('HGET', AGES, topic) or '0')), topic)
  else
    local _, ms = place(last)
    redis.call('DEL', STREAM .. topic)
    redis.call('ZREM', FIRSTS, topic)
    redis.call('ZREM', DUE, topic)
    redis.call('ZADD', EMPTY, text(ms), topic)
  end
  return dropped
end

