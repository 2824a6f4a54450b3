-- Finds appends by their origins in what a log remembers of places.
--
-- ARGV  1 life  2 behind which number they stand, if they do  then the origin of each
--
-- Answers {'ok', number of the head, number of the oldest place that is remembered, place of the first, place of the
--   next, …}, where a place is <n>-<ms>, of a batch its first, and '' where none is remembered; {'gone'}.

local meta = redis.call('HMGET', META, 'life', 'n')
if meta[1] ~= ARGV[1] then return { 'gone' } end
local found = {}
for i = 3, #ARGV do found[ARGV[i]] = '' end
for _, passed in ipairs(redis.call('XRANGE', TRAIL, text(tonumber(ARGV[2]) + 1), '+')) do
  local origin = field(passed, 'o')
  if found[origin] == '' then found[origin] = passed[1] end
end
local oldest = redis.call('XRANGE', TRAIL, '-', '+', 'COUNT', 1)[1]
local answer = { 'ok', tonumber(meta[2]), oldest and (place(oldest[1])) or 0 }
for i = 3, #ARGV do answer[#answer + 1] = found[ARGV[i]] end
return answer
