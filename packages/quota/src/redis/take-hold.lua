-- Takes one more hold of a user, where he may have it.
--
-- KEYS[1]  what the user holds, a hash: by id `<node> <weight>`
-- ARGV[1]  the node that asks
-- ARGV[2]  the id of the new hold
-- ARGV[3]  what it weighs
-- ARGV[4]  how many holds he may have; 0: any number
-- ARGV[5]  what they may weigh together; 0: anything
-- ARGV[6…] what other holds of this node weigh by now: id, weight, id, weight, …
--
-- Answers {'taken'}, or {'too_many' | 'too_heavy', the nodes that hold something of his…}.
--
-- Looks and takes in one step, so that of many nodes that ask at once no more get one than there may be. A hold of
-- the same id takes the place of the one before.

local node, id, weight = ARGV[1], ARGV[2], tonumber(ARGV[3])
local max_holds, max_weight = tonumber(ARGV[4]), tonumber(ARGV[5])

for i = 6, #ARGV, 2 do
  local known = redis.call('HGET', KEYS[1], ARGV[i])
  if known and string.sub(known, 1, #node + 1) == node .. ' ' then
    redis.call('HSET', KEYS[1], ARGV[i], node .. ' ' .. ARGV[i + 1])
  end
end

local holds, sum, nodes, seen = 0, weight, {}, {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if all[i] ~= id then
    local owner, weighs = string.match(all[i + 1], '^(%S+) (%d+)$')
    holds = holds + 1
    sum = sum + (tonumber(weighs) or 0)
    if owner and not seen[owner] then
      seen[owner] = true
      nodes[#nodes + 1] = owner
    end
  end
end

if max_holds > 0 and holds >= max_holds then return { 'too_many', unpack(nodes) } end
if max_weight > 0 and sum > max_weight then return { 'too_heavy', unpack(nodes) } end
redis.call('HSET', KEYS[1], id, node .. ' ' .. ARGV[3])
return { 'taken' }
