-- Hands out what is to be told now: of users who have left, and what somebody else was handed and has not acknowledged.
-- asked: limit: places that are looked at
-- answer: {announcements, in how many ms something falls due next; -1: nothing does}
-- Nothing is due later, unless the clock of Redis was set back since.
local latest = now + math.max(ask.graceMs, ask.claimMs)
for _, place in ipairs(redis.call('ZRANGEBYSCORE', DUE, '(' .. ms(latest), '+inf', 'LIMIT', 0, ask.limit)) do
  local stay = read_stay(place)
  local due_at = now + ask.claimMs
  if stay and stay.w then
    stay.w = math.min(stay.w, now + ask.graceMs)
    write_stay(place, stay)
    if not stay.p then due_at = stay.w end
  end
  redis.call('ZADD', DUE, ms(due_at), place)
end

local announcements = {}
for _, place in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', ms(now), 'LIMIT', 0, ask.limit)) do
  local stay = read_stay(place)
  if not stay then
    redis.call('ZREM', DUE, place)
  else
    local group, user = group_and_user(place)
    if stay.c == 0 and not stay.o and stay.w <= now then
      stay.o = true
      if group ~= EVERYWHERE then redis.call('ZREM', PREFIX .. 'members:' .. group, user) end
      if is_told(group) then announce('leave', stay) end
    end
    if stay.p then
      claim(place, stay, announcements)
      write_stay(place, stay)
    elseif stay.o then
      redis.call('HDEL', STAYS, place)
      redis.call('ZREM', DUE, place)
    elseif stay.c == 0 then
      redis.call('ZADD', DUE, ms(stay.w), place)
    else
      redis.call('ZREM', DUE, place)
    end
  end
end
local next_due = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
local next_ms = next_due[2] and math.max(0, tonumber(next_due[2]) - now) or -1
return { announcements, ms(next_ms) }
