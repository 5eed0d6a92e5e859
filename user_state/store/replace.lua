-- Replaces a user's record and remembered ids if the record's version is still the one that was read.
-- KEYS: record, seen. ARGV: expected version ('' for no record), record, seen, expiry in ms UTC.
-- The version is bytes 10 to 17 of a record. Returns 1 if replaced, 0 if somebody else was faster.
if redis.call('GETRANGE', KEYS[1], 10, 17) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[4])
redis.call('SET', KEYS[2], ARGV[3], 'PXAT', ARGV[4])
return 1
