-- Names a session, for who names it first.
--
-- KEYS[1]  whose the session is: his user id
-- ARGV[1]  the user id of who names it
-- ARGV[2]  what he may: `user`: take it from an anonymous one; `admin`: be let on to any; `anonymous`: neither
-- ARGV[3]  what the user ids of anonymous ones begin with
-- ARGV[4]  how long it stays whose it is after this, in ms
--
-- Answers {'named' | 'kept' | 'taken' | 'let' | 'others', whose it was before, or an empty text}.
--
-- Of many that name it at the same time, at any nodes, one is the first.

local owner = redis.call('GET', KEYS[1])
local claim = 'named'
if owner == ARGV[1] then
  claim = 'kept'
elseif owner then
  local is_anonymous = string.sub(owner, 1, #ARGV[3]) == ARGV[3]
  if ARGV[2] == 'admin' then return { 'let', owner } end
  if ARGV[2] == 'anonymous' or not is_anonymous then return { 'others', owner } end
  claim = 'taken'
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4])
return { claim, owner or '' }
