-- Renews a node's lease, finds nodes whose lease ended, and hands some of them to this node, to be told of.
--
-- KEYS[1]  leases         sorted set: node id -> when its lease ends, in ms by this server's clock
-- KEYS[2]  nodes          hash: node id -> {record, startedAt, since, seenAt}, also of nodes that are gone and not yet told of
-- KEYS[3]  gone:gateway   sorted set: node id -> from when on a gateway may be told of it: since it is gone, or, while
--                         one is being told, until when that one has it
-- KEYS[4]  gone:worker    the same for workers
-- KEYS[5]  claims         hash: "<service>:<node id>" -> the node that is being told of it
-- KEYS[6]  beat-at        when any node's last heartbeat was, in ms by this server's clock
-- ARGV[1]  node id
-- ARGV[2]  service: gateway or worker
-- ARGV[3]  how long the lease is, in ms
-- ARGV[4]  what the node tells of itself, as text
-- ARGV[5]  when it started, in ms; empty at its first heartbeat
-- ARGV[6]  how many nodes it takes now, to be told of; 0 where nobody listens
-- ARGV[7…] the ids of those that it is being told of
--
-- Answers {state, now, startedAt, since, lost, taken}:
--   state  "there", or "clearing": its lease had ended, and somebody is being told of it just now. It is not back before
--          that is over
--   since  from when on it has had its lease: another than last time where it had ended, so that others took this node
--          for gone, or may have. It says so also where the answer before was lost
--   lost   ids of ARGV[7…] that another node has by now
--   taken  ids and the texts of KEYS[2], in turn
--
-- What it guarantees: a node is in `gone` or has a lease, never both. One node at a time has one that is gone. Nobody is
-- swept by a node that has not itself had its lease for as long as a lease is: after Redis was away all leases have
-- ended, and the first to come back must not take the others for gone. Where the clock was set back, as after a failover
-- to a server that is behind, all times are moved by as much: else nobody would be swept until it has come up to them.
local KEPT_MS = 86400000

local leases, nodes, claims = KEYS[1], KEYS[2], KEYS[5]
local gone = { gateway = KEYS[3], worker = KEYS[4] }
local id, service, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local back = tonumber(redis.call('GET', KEYS[6]) or now) - now
redis.call('SET', KEYS[6], now)
-- Less does no harm, and clocks of servers are never quite the same.
if back > lease then
  for _, key in ipairs({ leases, gone.gateway, gone.worker }) do
    for _, node in ipairs(redis.call('ZRANGE', key, 0, -1)) do redis.call('ZINCRBY', key, -back, node) end
  end
  local all = redis.call('HGETALL', nodes)
  for i = 1, #all, 2 do
    local known = cjson.decode(all[i + 1])
    known.since, known.seenAt = known.since - back, known.seenAt - back
    redis.call('HSET', nodes, all[i], cjson.encode(known))
  end
end

for kind, key in pairs(gone) do
  local from = redis.call('ZSCORE', key, id)
  if from and tonumber(from) > now and redis.call('HEXISTS', claims, kind .. ':' .. id) == 1 then
    return { 'clearing', now, 0, 0, {}, {} }
  end
end
for kind, key in pairs(gone) do
  redis.call('ZREM', key, id)
  redis.call('HDEL', claims, kind .. ':' .. id)
end

local ends = redis.call('ZSCORE', leases, id)
local text = redis.call('HGET', nodes, id)
local since, startedAt = now, tonumber(ARGV[5]) or now
if ends and tonumber(ends) > now and text then
  since = cjson.decode(text).since
end
redis.call('ZADD', leases, now + lease, id)
redis.call('HSET', nodes, id, cjson.encode({ record = ARGV[4], startedAt = startedAt, since = since, seenAt = now }))

local lost = {}
for i = 7, #ARGV do
  if redis.call('HGET', claims, service .. ':' .. ARGV[i]) == id then
    redis.call('ZADD', gone[service], now + lease, ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end

local taken = {}
if now - since >= lease then
  for _, dead in ipairs(redis.call('ZRANGE', leases, '-inf', now, 'BYSCORE')) do
    redis.call('ZREM', leases, dead)
    redis.call('ZADD', gone.gateway, now, dead)
    redis.call('ZADD', gone.worker, now, dead)
  end
  for kind, key in pairs(gone) do
    local other = kind == 'gateway' and gone.worker or gone.gateway
    for _, old in ipairs(redis.call('ZRANGE', key, '-inf', now - KEPT_MS, 'BYSCORE')) do
      redis.call('ZREM', key, old)
      redis.call('HDEL', claims, kind .. ':' .. old)
      if not redis.call('ZSCORE', other, old) then redis.call('HDEL', nodes, old) end
    end
  end
end
local free = redis.call('ZRANGE', gone[service], '-inf', now, 'BYSCORE', 'LIMIT', 0, tonumber(ARGV[6]))
for _, dead in ipairs(free) do
  redis.call('ZADD', gone[service], now + lease, dead)
  redis.call('HSET', claims, service .. ':' .. dead, id)
  taken[#taken + 1] = dead
  taken[#taken + 1] = redis.call('HGET', nodes, dead) or ''
end
return { 'there', now, startedAt, since, lost, taken }
