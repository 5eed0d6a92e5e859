-- Counts a worker's batches. If less is counted here than the worker knows of, data was lost; that is remembered until
-- the worker has heard of it, since the answer to this batch may be lost too.
-- KEYS: beat. ARGV: number of this batch, number of the last one that was confirmed, expiry in ms, which loss the worker
-- has heard of ('' for none).
-- The value is "batch", or "batch:loss", the loss being named by the batch that found it.
-- Returns the loss that the worker has not heard of, '' for none.
local held = redis.call('GET', KEYS[1]) or '0'
local batch, loss = string.match(held, '^(%d+):?(%d*)$')
if loss == ARGV[4] then
  loss = ''
end
if tonumber(batch) < tonumber(ARGV[2]) then
  loss = ARGV[1]
end
redis.call('SET', KEYS[1], loss == '' and ARGV[1] or ARGV[1] .. ':' .. loss, 'PX', ARGV[3])
return loss
