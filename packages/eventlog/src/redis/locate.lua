-- Answers all that a cursor is judged by.
--
-- ARGV  1 life  2 'event' or 'time'  3 ms of the cursor  4 its number  5 '1' for these topics, which follow; '0' for all
--
-- Answers {'ok', n, ms, opened ms, '1' if closed, lost place, place in the trail at or before the cursor, place after it,
--   number asked about, then for each topic: first, up to where it was trimmed, at or before the number, after it, last
--   not later than the time}, where a place is <n>-<ms> or ''; or {'gone'}. For a time the number asked about is the
--   newest, over the topics, that is not later.

local meta = redis.call('HMGET', META, 'life', 'n', 'ms', 'o', 'c', 'ln', 'lms')
if meta[1] ~= ARGV[1] then return { 'gone' } end
local isTime, ms, n = ARGV[2] == 'time', tonumber(ARGV[3]), tonumber(ARGV[4])

local function idOf(entries)
  return entries[1] and entries[1][1] or ''
end
local function upTo(key, number)
  return idOf(redis.call('XREVRANGE', key, text(number), '-', 'COUNT', 1))
end
local function after(key, number)
  return idOf(redis.call('XRANGE', key, text(number + 1), '+', 'COUNT', 1))
end

-- The last that is not later than a time. Times rise with the numbers, so it is looked for by halves.
local function untilTime(key, first, last)
  if first == '' then return '' end
  local low, firstMs = place(first)
  if firstMs > ms then return '' end
  local high, lastMs = place(last)
  if lastMs <= ms then return last end
  local found = first
  while low < high do
    local middle = math.ceil((low + high) / 2)
    local id = upTo(key, middle)
    local idN, idMs = place(id)
    if idMs <= ms then
      found, low = id, middle
    else
      high = idN - 1
    end
  end
  return upTo(key, math.max(low, (place(found))))
end

local topics = {}
if ARGV[5] == '1' then
  for i = 6, #ARGV do topics[#topics + 1] = ARGV[i] end
else
  topics = redis.call('ZRANGE', TOPICS, 0, -1)
end

local facts = {}
for i, topic in ipairs(topics) do
  local key = STREAM .. topic
  local first = idOf(redis.call('XRANGE', key, '-', '+', 'COUNT', 1))
  local fact = { key = key, first = first, trimmed = redis.call('HGET', TRIMMED, topic) or '', untilTime = '' }
  if isTime then
    fact.untilTime = untilTime(key, first, idOf(redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)))
    if fact.untilTime ~= '' then n = math.max(n, (place(fact.untilTime))) end
  end
  facts[i] = fact
end

local lost = meta[6] and meta[6] .. '-' .. meta[7] or ''
local answer = { 'ok', tonumber(meta[2]), tonumber(meta[3]), tonumber(meta[4]), meta[5], lost, upTo(TRAIL, n), after(TRAIL, n), n }
for _, fact in ipairs(facts) do
  for _, value in ipairs({ fact.first, fact.trimmed, upTo(fact.key, n), after(fact.key, n), fact.untilTime }) do
    answer[#answer + 1] = value
  end
end
return answer
