-- Forgets what has been told, and what came before it in the same place.
-- asked: told {place, kind, stayId}
-- answer: announcements that were behind what was told, from here on the caller's
local announcements = {}
for _, told in ipairs(ask.told) do
  local stay = read_stay(told.place)
  if stay and stay.p then
    local left, found = {}, false
    for _, one in ipairs(stay.p) do
      if found then table.insert(left, one) end
      if one.k == told.kind and one.i == told.stayId then found = true end
    end
    if found then
      if #left > 0 then
        stay.p = left
        write_stay(told.place, stay)
        claim(told.place, stay, announcements)
      elseif stay.o then
        redis.call('HDEL', STAYS, told.place)
        redis.call('ZREM', DUE, told.place)
      else
        stay.p = nil
        write_stay(told.place, stay)
        if stay.c == 0 then redis.call('ZADD', DUE, ms(stay.w), told.place) else redis.call('ZREM', DUE, told.place) end
      end
    end
  end
end
return announcements
