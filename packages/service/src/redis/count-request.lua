-- Counts one request of a key, in a window that begins with its first.
--
-- KEYS[1]  the count, which ends with its window
-- ARGV[1]  how long a window is, in ms
--
-- Answers {how many there are in this window, this one included; ms until it ends}.
--
-- A count that would end later than its window, as where the clock of Redis was set back, ends with it.
-- All at once: of many nodes that count at the same time each gets a number of its own, and no count stays
-- without an end.

local count = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
local window = tonumber(ARGV[1])
if left < 0 or left > window then
  left = window
  redis.call('PEXPIRE', KEYS[1], left)
end
return { count, left }
