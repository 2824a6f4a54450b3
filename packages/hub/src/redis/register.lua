-- Registers a connection within the limits, all or nothing.
-- asked: entry; limits {maxPerUser, maxTotal, policy, duplicate}; watchMs?; ignoring: nodes whose entries do not count
-- answer: {'ok', displaced entries, announcements} | {'exists' | 'user_limit', holders, {}} | {'total_limit', {}, {}}
-- Asked again by the same token it is done already. What it displaces it removes at once; nothing else has changed where it refuses.
local asked, limits = ask.entry, ask.limits
local ignored = {}
for _, node in ipairs(ask.ignoring) do ignored[node] = true end

local displaced, displaced_json = {}, {}
local function displace(id, entry)
  table.insert(displaced, { id = id, entry = entry })
  table.insert(displaced_json, entry_json(id, entry))
end

local existing = read_entry(asked.connectionId)
if existing and existing.t == asked.token then
  -- The answer to this very registration was lost.
  return { 'ok', {}, {} }
end
if existing then
  if limits.duplicate == 'refuse' and not ignored[existing.n] then
    return { 'exists', { entry_json(asked.connectionId, existing) }, {} }
  end
  displace(asked.connectionId, existing)
end

if asked.userId and limits.maxPerUser > 0 then
  local user_key = PREFIX .. 'user:' .. asked.userId
  if redis.call('ZCARD', user_key) >= limits.maxPerUser then
    local others = {}
    for _, id in ipairs(redis.call('ZRANGE', user_key, 0, -1)) do
      local entry = id ~= asked.connectionId and read_entry(id)
      if entry and not ignored[entry.n] then table.insert(others, { id = id, entry = entry }) end
    end
    local surplus = #others + 1 - limits.maxPerUser
    if surplus > 0 and limits.policy == 'reject' then
      local holders = {}
      for _, other in ipairs(others) do table.insert(holders, entry_json(other.id, other.entry)) end
      return { 'user_limit', holders, {} }
    end
    for i = 1, surplus do displace(others[i].id, others[i].entry) end
  end
end

if limits.maxTotal > 0 and redis.call('HLEN', CONNS) - #displaced >= limits.maxTotal then
  return { 'total_limit', {}, {} }
end

if ask.watchMs then watch(asked.groups, ask.watchMs) end
for _, one in ipairs(displaced) do drop(one.id, one.entry) end
local announcements = {}
add(asked.connectionId, asked_entry(asked), announcements)
return { 'ok', displaced_json, announcements }
