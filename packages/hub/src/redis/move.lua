-- Has a connection join and leave groups. One that is not registered, or by another token, is left alone.
-- asked: connectionId, token; join, leave: groups; watchMs?
-- answer: announcements
local announcements = {}
local entry = read_entry(ask.connectionId)
if not entry or entry.t ~= ask.token then return announcements end
if ask.watchMs then watch(ask.join, ask.watchMs) end

local stays_in, joined, left = {}, {}, {}
for _, group in ipairs(ask.leave) do left[group] = true end
for _, group in ipairs(ask.join) do left[group] = nil end
local groups = {}
for _, group in ipairs(entry.g) do
  if left[group] then
    count(GROUPS, group, -1)
    if entry.u then exit(group, entry.u) end
  else
    stays_in[group] = true
    table.insert(groups, group)
  end
end
for i, group in ipairs(ask.join) do
  if not stays_in[group] then
    stays_in[group] = true
    table.insert(groups, group)
    count(GROUPS, group, 1)
    if entry.u then enter(group, entry.u, entry.t .. '-' .. ms(now) .. '-m' .. i, entry.m, announcements) end
  end
end
entry.g = groups
redis.call('HSET', CONNS, ask.connectionId, cmsgpack.pack(entry))
return announcements
