-- Opens a log, or makes it.
--
-- ARGV  1 life of a new one  2 clock, '' for the server's  3 run id, '' for none  4 '0' to make none where there is none
--       then of a new one's attributes: name, value, …
--
-- Answers the fields of its hash: name, value, …; none where there is none.

if redis.call('EXISTS', META) == 0 then
  if ARGV[4] == '0' then return {} end
  local now = text(clock(ARGV[2]))
  redis.call('HSET', META, 'life', ARGV[1], 'o', now, 'n', '0', 'ms', now, 'c', '0', 'e', '0', 'v', '0', 'b', '0')
  if ARGV[3] ~= '' then redis.call('HSET', META, 'r', ARGV[3]) end
  for i = 5, #ARGV, 2 do redis.call('HSET', META, 'a:' .. ARGV[i], ARGV[i + 1]) end
end
return redis.call('HGETALL', META)
