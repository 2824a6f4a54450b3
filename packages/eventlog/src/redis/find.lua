-- Finds appends by their origins in what a log remembers of places; else by their keys, as another may have stored them.
--
-- ARGV  1 life  2 behind which number they stand, if they do  then of each its origin, and its once key or ''
--
-- Answers {'ok', number of the head, number of the oldest place that is remembered, place of the first, place of the
--   next, …}, where a place is <n>-<ms>, of a batch its first, and '' where none is remembered; {'gone'}.

local meta = redis.call('HMGET', META, 'life', 'n')
if meta[1] ~= ARGV[1] then return { 'gone' } end
local found = {}
for i = 3, #ARGV, 2 do found[ARGV[i]] = '' end
for _, passed in ipairs(redis.call('XRANGE', TRAIL, text(tonumber(ARGV[2]) + 1), '+')) do
  local origin = field(passed, 'o')
  if found[origin] == '' then found[origin] = passed[1] end
end
local function byKey(key)
  local known = key ~= '' and redis.call('GET', ONCE .. ARGV[1] .. ':' .. key)
  local n, ms = string.match(known or '', '^%d+ (%d+) (%d+) ')
  return n and n ~= '0' and n .. '-' .. ms or ''
end
local oldest = redis.call('XRANGE', TRAIL, '-', '+', 'COUNT', 1)[1]
local answer = { 'ok', tonumber(meta[2]), oldest and (place(oldest[1])) or 0 }
for i = 3, #ARGV, 2 do
  local at = found[ARGV[i]]
  answer[#answer + 1] = at ~= '' and at or byKey(ARGV[i + 1])
end
return answer
