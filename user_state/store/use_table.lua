-- Set which version of a table of item vectors is in use, and note since when, in one step: a crash leaves both or neither.
--
-- KEYS[1]  the pointer
-- KEYS[2]  hash: time of this server's clock, microseconds -> the version in use from then on
-- ARGV[1]  the version
--
-- Returns when it began, or an empty string where it is in use already and the note is there.
if redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('EXISTS', KEYS[2]) == 1 then
  return ''
end
local now = redis.call('TIME')
local at = now[1] .. string.format('%06d', tonumber(now[2]))
redis.call('SET', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], at, ARGV[1])
return at
