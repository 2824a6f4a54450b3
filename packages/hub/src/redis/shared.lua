--!df flags=allow-undeclared-keys
-- Put in front of every script of this folder: the keys, what is asked, and what several of them do.
--
-- KEYS  1 conns    hash   connection id -> entry {n node, t token, u user, g groups, m shown}, as MessagePack
--       2 users    hash   user -> how many connections
--       3 groups   hash   group -> how many connections
--       4 stays    hash   place -> stay {i id, t since, c connections, m shown, w leaves at, o is over, p pending}
--       5 due      zset   place -> when something is to be done about it
--       6 watched  zset   group -> until when its joins and leaves are announced
-- ARGV  1          what all keys begin with. Also there, of the same slot, and found by what is in the others:
--                  user:<user> zset of connection ids by time, node:<node> set of connection ids,
--                  members:<group> zset of users by name
--       2          what is asked, as JSON; always with graceMs, claimMs, announceAll
--
-- All times are by the clock of Redis, so that nodes need not agree on one.
local CONNS, USERS, GROUPS, STAYS, DUE, WATCHED = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local PREFIX = ARGV[1]
local ask = cjson.decode(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The group of which every user is a member as long as he is connected at all. Nobody is told of it.
local EVERYWHERE = ''

local function ms(number)
  return string.format('%.0f', number)
end

local function place_of(group, user)
  return #group .. ':' .. group .. user
end

local function group_and_user(place)
  local length, at = string.match(place, '^(%d+):()')
  local user_at = at + tonumber(length)
  return string.sub(place, at, user_at - 1), string.sub(place, user_at)
end

local function read_stay(place)
  local packed = redis.call('HGET', STAYS, place)
  return packed and cmsgpack.unpack(packed) or nil
end

local function write_stay(place, stay)
  redis.call('HSET', STAYS, place, cmsgpack.pack(stay))
end

local function read_entry(id)
  local packed = redis.call('HGET', CONNS, id)
  return packed and cmsgpack.unpack(packed) or nil
end

local function entry_json(id, entry)
  local answer = { connectionId = id, nodeId = entry.n, token = entry.t, userId = entry.u, shown = entry.m }
  if #entry.g > 0 then answer.groups = entry.g end
  return cjson.encode(answer)
end

local function is_told(group)
  if group == EVERYWHERE then return false end
  if ask.announceAll then return true end
  local until_ms = redis.call('ZSCORE', WATCHED, group)
  return until_ms and tonumber(until_ms) > now
end

local function watch(groups, for_ms)
  for _, group in ipairs(groups) do redis.call('ZADD', WATCHED, 'GT', ms(now + for_ms), group) end
  redis.call('ZREMRANGEBYSCORE', WATCHED, '-inf', ms(now))
end

local function announce(kind, stay)
  stay.p = stay.p or {}
  table.insert(stay.p, { k = kind, i = stay.i, t = stay.t, a = now, m = stay.m })
end

-- Hands out what is to be told of a place. It is the caller's until the claim ends.
local function claim(place, stay, into)
  local group, user = group_and_user(place)
  for _, one in ipairs(stay.p) do
    table.insert(into, cjson.encode({
      kind = one.k, place = place, group = group, userId = user,
      stayId = one.i, since = one.t, at = one.a, shown = one.m,
    }))
  end
  redis.call('ZADD', DUE, ms(now + ask.claimMs), place)
end

-- One more connection of a user in a group. What is to be told goes into `into`, unless somebody has been handed what
-- comes before it: that is told first, and this when its claim ends.
local function enter(group, user, stay_id, shown, into)
  local place = place_of(group, user)
  local stay = read_stay(place)
  if stay and not stay.o then
    stay.c = stay.c + 1
    if stay.w and not stay.p then redis.call('ZREM', DUE, place) end
    stay.w = nil
    write_stay(place, stay)
    return
  end
  local earlier = stay and stay.p or nil
  stay = { i = stay_id, t = now, c = 1, m = shown, p = earlier }
  if group ~= EVERYWHERE then redis.call('ZADD', PREFIX .. 'members:' .. group, 0, user) end
  if is_told(group) then
    announce('join', stay)
    if not earlier then claim(place, stay, into) end
  end
  write_stay(place, stay)
end

-- One connection of a user less in a group.
local function exit(group, user)
  local place = place_of(group, user)
  local stay = read_stay(place)
  if not stay or stay.c == 0 then return end
  stay.c = stay.c - 1
  if stay.c == 0 then
    stay.w = now + ask.graceMs
    -- Where something is still to be told, that is due first, and this is seen to after it.
    if not stay.p then redis.call('ZADD', DUE, ms(stay.w), place) end
  end
  write_stay(place, stay)
end

local function count(key, field, by)
  if redis.call('HINCRBY', key, field, by) <= 0 then redis.call('HDEL', key, field) end
end

-- Adds an entry that is not there. Its stays get ids that begin with its token and the time.
local function add(id, entry, into)
  redis.call('HSET', CONNS, id, cmsgpack.pack(entry))
  redis.call('SADD', PREFIX .. 'node:' .. entry.n, id)
  for _, group in ipairs(entry.g) do count(GROUPS, group, 1) end
  if not entry.u then return end
  redis.call('ZADD', PREFIX .. 'user:' .. entry.u, ms(now), id)
  count(USERS, entry.u, 1)
  enter(EVERYWHERE, entry.u, '', nil, into)
  for i, group in ipairs(entry.g) do
    enter(group, entry.u, entry.t .. '-' .. ms(now) .. '-' .. i, entry.m, into)
  end
end

-- Removes an entry that is there.
local function drop(id, entry)
  redis.call('HDEL', CONNS, id)
  redis.call('SREM', PREFIX .. 'node:' .. entry.n, id)
  for _, group in ipairs(entry.g) do count(GROUPS, group, -1) end
  if not entry.u then return end
  redis.call('ZREM', PREFIX .. 'user:' .. entry.u, id)
  count(USERS, entry.u, -1)
  exit(EVERYWHERE, entry.u)
  for _, group in ipairs(entry.g) do exit(group, entry.u) end
end

local function asked_entry(one)
  return { n = one.nodeId, t = one.token, u = one.userId, g = one.groups, m = one.shown }
end
