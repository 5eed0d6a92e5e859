-- Decides which spec writes the records of a name, and keeps the layout that they are read by.
-- KEYS: registry. ARGV: mode, definition (hex), generation, layout fingerprint (hex), layout (JSON).
-- Fields: current (definition), generation, spec:<definition> -> generation, layout:<fingerprint> -> JSON.
-- Modes: propose   changes nothing; returns the generation that this definition would write with
--        claim     the definition becomes current if it is new and its generation is greater than any before
--        assert    the same for a generation that was claimed before: Redis may have lost it since
--        force     the definition becomes current, with a greater generation than any before
-- Returns {1, generation} if the definition is current now, or would be, and {0, generation of the current one} if not.
local mode, definition, proposed = ARGV[1], ARGV[2], ARGV[3]
local current = redis.call('HGET', KEYS[1], 'current')
local generation = redis.call('HGET', KEYS[1], 'generation') or '0'
local newer = tonumber(proposed) > tonumber(generation)
if mode == 'propose' or mode == 'force' then
  if not newer then
    proposed = string.format('%.0f', tonumber(generation) + 1)
  end
  newer = true
end
local known = redis.call('HEXISTS', KEYS[1], 'spec:' .. definition) == 1
local wins
if current == definition and mode ~= 'force' then
  wins = true
  if mode == 'assert' and newer then
    generation = proposed
  end
elseif mode == 'claim' or mode == 'propose' then
  wins = newer and not known
else
  wins = newer
end
if not wins then
  return {0, generation}
end
if current ~= definition or mode == 'force' then
  generation = proposed
end
if mode ~= 'propose' then
  redis.call('HSET', KEYS[1], 'current', definition, 'generation', generation, 'spec:' .. definition, generation,
    'layout:' .. ARGV[4], ARGV[5])
end
return {1, generation}
