-- Replaces users' records and remembered ids, each if the record's version is still the one that was read.
-- KEYS: the registry, where it lies on the same server; then for each user record and seen, and turn if so many.
-- ARGV: epoch of the writer's spec, the writer's name, keys a user (2 or 3), for how many ms the writer wants the
-- next turn at users who are refused (0: it can wait); then for each user the expected version ('' for no record), the
-- record ('' to compare only), seen, expiry in ms UTC.
-- The version is bytes 10 to 17 of a record; bytes 9 to 16 of seen are the epoch of the spec that wrote it.
-- Returns for each user 1 if replaced, or the same; 0 if somebody else was faster; -1 if it is another writer's turn; -2
-- if a newer spec has written the record; or an error's text. Or one number for all: -2 if a newer spec writes; -3 if
-- the registry does not know the writer's spec; -4 if some turn is taken, so that keys of turns have to be sent.
local epoch, writer, keys_a_user, turn_ms = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local first = #KEYS % keys_a_user

local function now_ms()
  local now = redis.call('TIME')
  return now[1] * 1000 + math.floor(now[2] / 1000)
end

local function ask_for_turn(turn)
  redis.call('SET', turn, writer, 'NX', 'PX', turn_ms)
  if first == 1 then
    local taken_until = tonumber(redis.call('HGET', KEYS[1], 'turns_until') or 0)
    redis.call('HSET', KEYS[1], 'turns_until', string.format('%.0f', math.max(taken_until, now_ms() + turn_ms)))
  end
end

local function replace(record, seen, turn, expected, new_record, new_seen, expires)
  local version = redis.pcall('GETRANGE', record, 10, 17)
  if type(version) == 'table' then
    return version.err
  end
  if version ~= expected then
    if turn and turn_ms > 0 then
      ask_for_turn(turn)
    end
    return 0
  end
  local beside = redis.pcall('GETRANGE', seen, 9, 16)
  if type(beside) == 'table' then
    return beside.err
  elseif #beside == 8 and struct.unpack('>I8', beside) > epoch then
    return -2
  end
  if new_record == '' then
    return 1
  end
  local holder = turn and redis.pcall('GET', turn)
  if type(holder) == 'table' then
    return holder.err
  elseif holder and holder ~= writer then
    return -1
  elseif holder then
    redis.call('DEL', turn)
  end
  local answer = redis.pcall('SET', record, new_record, 'PXAT', expires)
  if not answer.err then
    answer = redis.pcall('SET', seen, new_seen, 'PXAT', expires)
  end
  return answer.err or 1
end

if first == 1 then
  local held = redis.call('HMGET', KEYS[1], 'epoch', 'turns_until')
  local current = tonumber(held[1] or 0)
  if current > epoch then
    return -2
  elseif current < epoch then
    return -3
  elseif keys_a_user == 2 and held[2] and tonumber(held[2]) > now_ms() then
    return -4
  end
end
local answers = {}
local argument = 5
for at = first + 1, #KEYS, keys_a_user do
  answers[#answers + 1] = replace(KEYS[at], KEYS[at + 1], keys_a_user == 3 and KEYS[at + 2], ARGV[argument],
    ARGV[argument + 1], ARGV[argument + 2], ARGV[argument + 3])
  argument = argument + 4
end
return answers
