-- Reads entries.
-- asked: ids?: of these connections; userId?: of this user's, the oldest first
-- answer: entries
local ids = ask.ids or redis.call('ZRANGE', PREFIX .. 'user:' .. ask.userId, 0, -1)
local entries = {}
for _, id in ipairs(ids) do
  local entry = read_entry(id)
  if entry then table.insert(entries, entry_json(id, entry)) end
end
return entries
