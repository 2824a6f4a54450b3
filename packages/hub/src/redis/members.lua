-- Reads a page of who is in a group.
-- asked: group; limit; after?: a user
-- answer: {how many there are in all, the page and one more}
local key = PREFIX .. 'members:' .. ask.group
local from = ask.after and '(' .. ask.after or '-'
local members = {}
for _, user in ipairs(redis.call('ZRANGEBYLEX', key, from, '+', 'LIMIT', 0, ask.limit + 1)) do
  local stay = read_stay(place_of(ask.group, user))
  if stay then
    table.insert(members, cjson.encode({
      userId = user, stayId = stay.i, since = stay.t, connectionCount = stay.c, shown = stay.m,
    }))
  end
end
return { redis.call('ZCARD', key), members }
