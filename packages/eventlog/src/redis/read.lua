-- Reads a page of a log, over several topics in the order of their numbers; an entry under several of them once.
--
-- ARGV  1 life  2 after this number  3 up to this number, '' for no bound  4 most entries
--       5 most bytes of data beyond the first entry's
--       6 '1' for these topics, which follow; '0' for all there are
--
-- Answers {'ok', n, ms, '1' if closed, '1' if there are more, lost n, lost ms, id, head, data, id, head, data, …}, where n
-- and ms are the head, and what is lost is the newest that is gone for these topics; or {'gone'}.

local meta = redis.call('HMGET', META, 'life', 'n', 'ms', 'c', 'ln', 'lms')
if meta[1] ~= ARGV[1] then return { 'gone' } end
local after, limit, maxBytes = tonumber(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5])
local lostN, lostMs = tonumber(meta[5] or '0'), tonumber(meta[6] or '0')

local topics, lasts, cuts = {}, nil, nil
if ARGV[6] == '1' then
  local seen = {}
  for i = 7, #ARGV do
    if not seen[ARGV[i]] then
      seen[ARGV[i]] = true
      topics[#topics + 1] = ARGV[i]
    end
  end
  if #topics > 0 then
    lasts = redis.call('ZMSCORE', TOPICS, unpack(topics))
    cuts = redis.call('HMGET', TRIMMED, unpack(topics))
  else
    lasts, cuts = {}, {}
  end
else
  topics = redis.call('ZRANGE', TOPICS, 0, -1)
  lasts, cuts = {}, {}
  for i, topic in ipairs(topics) do
    lasts[i] = redis.call('ZSCORE', TOPICS, topic)
    cuts[i] = redis.call('HGET', TRIMMED, topic)
  end
end

local runs = {}
for i, topic in ipairs(topics) do
  if cuts[i] then
    local n, ms = place(cuts[i])
    if n > lostN then lostN, lostMs = n, ms end
  end
  if lasts[i] and tonumber(lasts[i]) > after then
    runs[#runs + 1] = { key = STREAM .. topic, next = after + 1, at = 1, page = nil }
  end
end

local ends = ARGV[3] == '' and '+' or ARGV[3]
local chunk = math.min(limit + 1, math.max(4, math.ceil(2 * (limit + 1) / math.max(1, #runs))))
-- The first that is left of a topic; nil where it has no more.
local function peek(run)
  if run.page and run.at <= #run.page then return run.page[run.at] end
  if run.page and #run.page < chunk then return nil end
  run.page = redis.call('XRANGE', run.key, text(run.next), ends, 'COUNT', chunk)
  run.at = 1
  return run.page[1]
end

local answer, taken, bytes, hasMore = {}, 0, 0, '0'
while #runs > 0 do
  local lowest, lowestN
  for i = #runs, 1, -1 do
    local run = runs[i]
    local entry = peek(run)
    if not entry then
      table.remove(runs, i)
    else
      run.n = run.parsed == entry[1] and run.n or (place(entry[1]))
      run.parsed = entry[1]
      if not lowestN or run.n < lowestN then lowest, lowestN = entry, run.n end
    end
  end
  if not lowest then break end
  local head, data = said(lowest)
  if head then
    if taken >= limit or (taken > 0 and bytes + #data > maxBytes) then
      hasMore = '1'
      break
    end
    taken, bytes = taken + 1, bytes + #data
    answer[#answer + 1] = lowest[1]
    answer[#answer + 1] = head
    answer[#answer + 1] = data
  end
  for _, run in ipairs(runs) do
    if run.n == lowestN then run.at, run.next = run.at + 1, lowestN + 1 end
  end
end
return { 'ok', tonumber(meta[2]), tonumber(meta[3]), meta[4], hasMore, lostN, lostMs, unpack(answer) }
