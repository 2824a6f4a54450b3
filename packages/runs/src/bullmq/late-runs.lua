-- Finds jobs that wait for longer than they should, as where the clock of the node was ahead that had them wait, or Redis'
-- own was set back: times in the queue are by the clocks of nodes.
--
-- KEYS  1  sorted set of owned runs, as in take-run.lua
--       2  sorted set of BullMQ's delayed jobs: a score is a time in ms, times 4096
-- ARGV  1  the longest that a job has to wait, in ms
--       2  how long the time of an owner is over before its runs are late, in ms
--       3  the most of each to answer in one call
--
-- Answers runs whose owners are gone, and those that nobody has and that wait for longer than any does.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local late = {}
for _, run in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]), 'LIMIT', 0, ARGV[3])) do
  if redis.call('ZSCORE', KEYS[2], run) then late[#late + 1] = run end
end
local latest = string.format('%.0f', (now + tonumber(ARGV[1])) * 4096)
for _, run in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. latest, '+inf', 'LIMIT', 0, ARGV[3])) do
  if not redis.call('ZSCORE', KEYS[1], run) then late[#late + 1] = run end
end
return late
