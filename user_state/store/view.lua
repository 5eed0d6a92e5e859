-- Writes a user's record and remembered ids, whose truth lies elsewhere, unless a record of more events is there.
-- KEYS: record, seen, and where it lies on the same server, the registry.
-- ARGV: record, seen, expiry in ms UTC, epoch of the writer's spec (compared as in replace.lua).
-- Bytes 10 to 13 of a record are the first half of its version: here how many events are in it (`store/view.py`).
-- Returns 1 if written, 0 if what is there is newer, -2 if a newer spec writes these records, -3 if the registry does
-- not know the writer's spec.
local epoch = tonumber(ARGV[4])
if KEYS[3] then
  local current = tonumber(redis.call('HGET', KEYS[3], 'epoch') or 0)
  if current > epoch then
    return -2
  elseif current < epoch then
    return -3
  end
end
local writer = redis.call('GETRANGE', KEYS[2], 9, 16)
if #writer == 8 and struct.unpack('>I8', writer) > epoch then
  return -2
end
local function events(version)
  local a, b, c, d = string.byte(version, 1, 4)
  if not d then
    return -1
  end
  return ((a * 256 + b) * 256 + c) * 256 + d
end
if events(redis.call('GETRANGE', KEYS[1], 10, 13)) > events(string.sub(ARGV[1], 11, 14)) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[3])
redis.call('SET', KEYS[2], ARGV[2], 'PXAT', ARGV[3])
return 1
