-- Objects of one part. KEYS: the part's count of bytes, names and ages, and what is written besides; ARGV[1]: what its
-- keys begin with, ARGV[2]: what to do.
-- An object without an age was evicted from the list and is as good as young.
local part, step = ARGV[1], ARGV[2]
local ids, ages = KEYS[2], KEYS[3]
local function data(id) return part .. ':o:' .. id end
local clock = redis.call('TIME')
local ms = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function take(id, len)
  redis.call('ZREM', ages, id)
  if redis.call('ZREM', ids, id) == 1 and len > 0 then redis.call('DECRBY', KEYS[1], len) end
end

if step == 'young' then
  local id = ARGV[3]
  redis.call('ZADD', ages, ms, id)
  if redis.call('ZADD', ids, 0, id) == 1 then redis.call('INCRBY', KEYS[1], redis.call('STRLEN', data(id))) end
  return 1
end
if step == 'remove' then
  local idle, objects, bytes = tonumber(ARGV[3]), 0, 0
  for at = 4, #ARGV do
    local id = ARGV[at]
    local age = redis.call('ZSCORE', ages, id)
    if redis.call('EXISTS', data(id)) == 0 then
      take(id, 0)
    elseif ms - tonumber(age or ms) >= idle then
      local len = redis.call('STRLEN', data(id))
      redis.call('UNLINK', data(id))
      take(id, len)
      objects, bytes = objects + 1, bytes + len
    elseif not age then
      redis.call('ZADD', ages, ms, id)
      redis.call('ZADD', ids, 0, id)
    end
  end
  return {objects, bytes}
end
if step == 'aside' then
  local id = ARGV[3]
  if redis.call('EXISTS', data(id)) == 1 then
    take(id, redis.call('STRLEN', data(id)))
    redis.call('RENAME', data(id), part .. ':q:' .. id)
  end
  return 1
end
-- list
local answer = {ms, '', 1}
local members = redis.call('ZRANGEBYLEX', ids, ARGV[3], '+', 'LIMIT', 0, tonumber(ARGV[4]))
for _, id in ipairs(members) do
  answer[2] = id
  local len = redis.call('STRLEN', data(id))
  if len > 0 or redis.call('EXISTS', data(id)) == 1 then
    answer[#answer + 1] = id
    answer[#answer + 1] = len
    answer[#answer + 1] = redis.call('ZSCORE', ages, id) or tostring(ms)
  end
end
if #members == tonumber(ARGV[4]) then answer[3] = 0 end
return answer
