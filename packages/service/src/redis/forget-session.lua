-- Forgets whose a session is, unless it is somebody else's by now.
--
-- KEYS[1]  whose the session is: his user id
-- ARGV[1]  what the user id begins with, or is
-- ARGV[2]  `1`: it is the whole of it
--
-- Answers 1 where it was forgotten.

local owner = redis.call('GET', KEYS[1])
if not owner then return 0 end
if ARGV[2] == '1' and owner ~= ARGV[1] then return 0 end
if string.sub(owner, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
