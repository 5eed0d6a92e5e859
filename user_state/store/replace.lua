-- Replaces a user's record and remembered ids if the record's version is still the one that was read.
-- KEYS: record, seen, turn, and where it lies on the same server, the registry.
-- ARGV: expected version ('' for no record), record ('' to compare only), seen, expiry in ms UTC, generation of the
-- writer's spec, the writer's name, for how many ms it wants the next turn if it is refused (0: it can wait).
-- The version is bytes 10 to 17 of a record; bytes 9 to 16 of seen are the generation of the spec that wrote it.
-- Returns 1 if replaced, or the same; 0 if somebody else was faster; -1 if it is another writer's turn; -2 if a newer
-- spec writes these records; -3 if the registry does not know the writer's spec.
local generation = tonumber(ARGV[5])
if KEYS[4] then
  local current = tonumber(redis.call('HGET', KEYS[4], 'generation') or 0)
  if current > generation then
    return -2
  elseif current < generation then
    return -3
  end
end
if redis.call('GETRANGE', KEYS[1], 10, 17) ~= ARGV[1] then
  if ARGV[7] ~= '0' then
    redis.call('SET', KEYS[3], ARGV[6], 'NX', 'PX', ARGV[7])
  end
  return 0
end
local writer = redis.call('GETRANGE', KEYS[2], 9, 16)
if #writer == 8 and struct.unpack('>I8', writer) > generation then
  return -2
end
if ARGV[2] == '' then
  return 1
end
local turn = redis.call('GET', KEYS[3])
if turn then
  if turn ~= ARGV[6] then
    return -1
  end
  redis.call('DEL', KEYS[3])
end
redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[4])
redis.call('SET', KEYS[2], ARGV[3], 'PXAT', ARGV[4])
return 1
