"""What Redis does in one step with the counters of line items.

``complete`` is a hash: ``of`` (server process and log that the counts belong to), ``epoch`` (a name made up at each
restore) and, by partition of the ad events, ``p0``, ``p1``, ... (the offset up to which the log was counted).
"""

from __future__ import annotations

# '' where the counts are not known to be complete: emptied, or of a server process that may have gone back in time.
_COMPLETE = """
local function life(log)
  return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') .. '|' .. log
end
local function epoch_of(key, log)
  local found = redis.call('HMGET', key, 'of', 'epoch')
  return found[1] == life(log) and found[2] or ''
end
"""

# KEYS: complete. ARGV: log.
EPOCH = f"{_COMPLETE} return epoch_of(KEYS[1], ARGV[1])"

# All or nothing of each line item, whoever asks. What was reserved and not shown in time is given back first.
# KEYS: complete, served, reserved, the viewer's day. ARGV: log, now, until when reserved (ms), the viewer's ttl (s),
# the reservation, then per line item its id, quota and frequency (-1: none). Gives the epoch, then 1 or 0 each; 1
# without more to whom has it already: two replicas may fill the same break at once.
RESERVE = f"""{_COMPLETE}
local epoch = epoch_of(KEYS[1], ARGV[1])
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[2], 'LIMIT', 0, 1000)) do
  redis.call('ZREM', KEYS[3], old)
  redis.call('HINCRBY', KEYS[2], string.match(old, '^[^ ]+'), -1)
end
local out = {{epoch}}
for i = 6, #ARGV, 3 do
  local id, quota, frequency = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local total = tonumber(redis.call('HGET', KEYS[2], id) or '0')
  local today = tonumber(redis.call('HGET', KEYS[4], id) or '0')
  local mine = id .. ' ' .. ARGV[5]
  if epoch == '' and (quota >= 0 or frequency >= 0) then
    out[#out + 1] = 0
  elseif redis.call('ZSCORE', KEYS[3], mine) then
    out[#out + 1] = 1
  elseif (quota >= 0 and total >= quota) or (frequency >= 0 and today >= frequency) then
    out[#out + 1] = 0
  else
    redis.call('HINCRBY', KEYS[2], id, 1)
    redis.call('HINCRBY', KEYS[4], id, 1)
    redis.call('EXPIRE', KEYS[4], ARGV[4])
    redis.call('ZADD', KEYS[3], ARGV[3], mine)
    out[#out + 1] = 1
  end
end
return out
"""

# Shown after it was given back: it counts again.
_SHOWN = """
local function shown(served, reserved, made, id, mine)
  if redis.call('ZREM', reserved, mine) == 0 then redis.call('HINCRBY', served, id, 1) end
  redis.call('HINCRBY', made, id, 1)
end
"""

# Where counts are not complete, it waits for the restore, which knows whether it was counted from the log.
# KEYS: complete, served, reserved, made, late. ARGV: log, line item, reservation, partition, offset, ttl of late (s).
CONFIRM = f"""{_COMPLETE}{_SHOWN}
local mine = ARGV[2] .. ' ' .. ARGV[3]
if epoch_of(KEYS[1], ARGV[1]) == '' then
  redis.call('HSET', KEYS[5], ARGV[4] .. ':' .. ARGV[5], mine)
  redis.call('EXPIRE', KEYS[5], ARGV[6])
elseif tonumber(ARGV[5]) >= tonumber(redis.call('HGET', KEYS[1], 'p' .. ARGV[4]) or '0') then
  shown(KEYS[2], KEYS[3], KEYS[4], ARGV[2], mine)
end
"""

# A recount begins before it reads, and is of use only if Redis was incomplete all the while: `begun`, a hash of
# recounts under way, is gone when Redis is emptied and when one of them is done.
# KEYS: complete, begun. ARGV: log, name of the recount.
BEGIN = f"""{_COMPLETE}
if epoch_of(KEYS[1], ARGV[1]) ~= '' then return 0 end
redis.call('HSET', KEYS[2], ARGV[2], life(ARGV[1]))
redis.call('EXPIRE', KEYS[2], 86400)
return 1
"""

# KEYS: complete, then viewers' days. ARGV: log, ttl (s), then per viewer the number of line items, each with its count.
RESTORE_VIEWERS = f"""{_COMPLETE}
if epoch_of(KEYS[1], ARGV[1]) ~= '' then return 0 end
local at = 3
for k = 2, #KEYS do
  local n = tonumber(ARGV[at])
  for i = at + 1, at + 2 * n, 2 do redis.call('HSET', KEYS[k], ARGV[i], ARGV[i + 1]) end
  redis.call('EXPIRE', KEYS[k], ARGV[2])
  at = at + 2 * n + 1
end
return 1
"""

# KEYS: complete, served, reserved, made, late, begun, the new reservations. ARGV: log, name, number of partitions,
# each with the offset it was counted to; then line item, served, made, ...
RESTORE = f"""{_COMPLETE}{_SHOWN}
if redis.call('HGET', KEYS[6], ARGV[2]) ~= life(ARGV[1]) then
  redis.call('DEL', KEYS[7])
  return 0
end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[6])
redis.call('HSET', KEYS[1], 'of', life(ARGV[1]), 'epoch', ARGV[2])
if redis.call('EXISTS', KEYS[7]) == 1 then
  redis.call('RENAME', KEYS[7], KEYS[3])
  redis.call('PERSIST', KEYS[3])
end
local at, ends = 4, {{}}
for _ = 1, tonumber(ARGV[3]) do
  ends[ARGV[at]] = tonumber(ARGV[at + 1])
  redis.call('HSET', KEYS[1], 'p' .. ARGV[at], ARGV[at + 1])
  at = at + 2
end
for i = at, #ARGV, 3 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 2])
end
local late = redis.call('HGETALL', KEYS[5])
for i = 1, #late, 2 do
  local partition, offset = string.match(late[i], '^(%d+):(%d+)$')
  if tonumber(offset) >= (ends[partition] or 0) then
    shown(KEYS[2], KEYS[3], KEYS[4], string.match(late[i + 1], '^[^ ]+'), late[i + 1])
  end
end
redis.call('DEL', KEYS[5])
return 1
"""
