-- Sets some of a node's holds of a user, and lets others go.
--
-- KEYS[1]  what the user holds, a hash: by id `<node> <weight>`
-- ARGV[1]  the node
-- ARGV[2]  how: `some`: those that are named are set, or let go; `all`: what is not named and is the node's is let go
--          too; `take`: as `some`, and they are the node's from now on, whosever they were
-- ARGV[3…] id, weight, id, weight, …; an empty weight lets it go
--
-- Answers how many are the node's then.
--
-- Only with `take` is anything of another node changed: it has taken over meanwhile what the hold stands for. The same
-- twice does no harm.

local node, how = ARGV[1], ARGV[2]
local own = node .. ' '

local function owned(value)
  return string.sub(value, 1, #own) == own
end

local named = {}
for i = 3, #ARGV, 2 do
  local id, weight = ARGV[i], ARGV[i + 1]
  named[id] = true
  local known = redis.call('HGET', KEYS[1], id)
  if weight == '' then
    if known and owned(known) then redis.call('HDEL', KEYS[1], id) end
  elseif how == 'take' or not known or owned(known) then
    redis.call('HSET', KEYS[1], id, own .. weight)
  end
end

local count = 0
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if owned(all[i + 1]) then
    if how == 'all' and not named[all[i]] then
      redis.call('HDEL', KEYS[1], all[i])
    else
      count = count + 1
    end
  end
end
return count
