-- Decides which spec writes the records of a name, and keeps the layout that they are read by.
-- KEYS: registry. ARGV: mode, definition (hex), epoch, layout fingerprint (hex), layout (JSON).
-- Fields: current (definition), epoch, spec:<definition> -> epoch, layout:<fingerprint> -> JSON.
-- Modes: propose   changes nothing; returns the epoch that this definition would write with
--        claim     the definition becomes current if it is new and its epoch is greater than any before
--        assert    the same for an epoch that was claimed before: Redis may have lost it since
--        force     the definition becomes current, with a greater epoch than any before
-- Returns {1, epoch} if the definition is current now, or would be, and {0, epoch of the current one} if not.
local mode, definition, proposed = ARGV[1], ARGV[2], ARGV[3]
local current = redis.call('HGET', KEYS[1], 'current')
local epoch = redis.call('HGET', KEYS[1], 'epoch') or '0'
local newer = tonumber(proposed) > tonumber(epoch)
if mode == 'propose' or mode == 'force' then
  if not newer then
    proposed = string.format('%.0f', tonumber(epoch) + 1)
  end
  newer = true
end
local known = redis.call('HEXISTS', KEYS[1], 'spec:' .. definition) == 1
local wins
if current == definition and mode ~= 'force' then
  wins = true
  if mode == 'assert' and newer then
    epoch = proposed
  end
elseif mode == 'claim' or mode == 'propose' then
  wins = newer and not known
else
  wins = newer
end
if not wins then
  return {0, epoch}
end
if current ~= definition or mode == 'force' then
  epoch = proposed
end
if mode ~= 'propose' then
  redis.call('HSET', KEYS[1], 'current', definition, 'epoch', epoch, 'spec:' .. definition, epoch,
    'layout:' .. ARGV[4], ARGV[5])
end
return {1, epoch}
