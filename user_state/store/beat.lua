-- Counts a worker's batches, unless less is counted here than the worker knows of: then data was lost, and that stays
-- to be seen until the worker has heard of it.
-- KEYS: beat. ARGV: number of this batch, number of the last one that was confirmed, expiry in ms.
-- Returns what was counted before.
local held = tonumber(redis.call('GET', KEYS[1]) or 0)
if held >= tonumber(ARGV[2]) then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
end
return held
