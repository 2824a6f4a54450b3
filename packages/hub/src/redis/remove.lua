-- Removes connections that have ended. One that is not registered, or by another token, is left alone.
-- asked: refs {connectionId, token}
-- answer: how many there were
local removed = 0
for _, ref in ipairs(ask.refs) do
  local entry = read_entry(ref.connectionId)
  if entry and entry.t == ref.token then
    drop(ref.connectionId, entry)
    removed = removed + 1
  end
end
return removed
