-- Writes a user's record and remembered ids, whose truth lies elsewhere, unless a record of more events is there.
-- KEYS: record, seen. ARGV: record, seen, expiry in ms UTC.
-- Bytes 10 to 13 of a record are the first half of its version: here how many events are in it (`store/view.py`).
-- Returns 1 if written, 0 if what is there is newer.
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
