-- Registers connections that are open, whatever the limits. An id that is taken, by whomever, stays as it is.
-- asked: entries
-- answer: announcements
local announcements = {}
for _, asked in ipairs(ask.entries) do
  if redis.call('HEXISTS', CONNS, asked.connectionId) == 0 then
    add(asked.connectionId, asked_entry(asked), announcements)
  end
end
return announcements
