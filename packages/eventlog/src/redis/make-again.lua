-- Looks what has become of a log that is not there, and makes it again where it is lost: as it was before anything was
-- appended, which is put back then.
--
-- ARGV  1 life  2 '1' where it is to be made  3 clock when it was opened  4 run id  5 version of the attributes
--       then these: name, value, …
--
-- Answers 'there', also where it is again; 'gone' where it was dropped, or another stands in its place; 'missing'. What was
-- opened in its place, and has nothing appended, goes.

local meta = redis.call('HMGET', META, 'life', 'n', 'e')
if meta[1] == ARGV[1] then return 'there' end
if redis.call('EXISTS', ONCE .. ARGV[1]) == 1 then return 'gone' end
if meta[1] and (meta[2] ~= '0' or meta[3] ~= '0') then return 'gone' end
if ARGV[2] == '0' then return 'missing' end
redis.call('UNLINK', META)
redis.call('HSET', META, 'life', ARGV[1], 'o', ARGV[3], 'n', '0', 'ms', ARGV[3], 'c', '0', 'e', '0', 'v', ARGV[5], 'b', '0')
redis.call('HSET', META, 'r', ARGV[4])
for i = 6, #ARGV, 2 do redis.call('HSET', META, 'a:' .. ARGV[i], ARGV[i + 1]) end
return 'there'
