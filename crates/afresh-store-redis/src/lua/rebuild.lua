-- Makes the indexes anew, a few keys at a time, beside writers who go on entering theirs.
-- ARGV: what to do, who does it, then the names of some entries. Answers whether it may go on: 1; 0 where it must begin
-- anew; 2 where nothing is to be done; 3 where another is at it.
local step, who = ARGV[2], ARGV[3]
local LETTERS = {'h', 'c', 'l', 'n', 'v'}
local function whole()
  for _, letter in ipairs(LETTERS) do
    if tonumber(redis.call('HGET', meta, letter) or 0) ~= redis.call('ZCARD', index_of(letter)) then return false end
  end
  return true
end

local state = redis.call('HMGET', meta, 's', 'b')
if step == 'begin' then
  if state[1] == 'ok' and whole() then return 2 end
  if state[1] and state[1] ~= 'ok' and state[1] ~= who and tonumber(state[2] or 0) > ms - 3000 then return 3 end
  for _, letter in ipairs(LETTERS) do
    redis.call('HSET', meta, letter, redis.call('ZCARD', index_of(letter)))
  end
  redis.call('HSET', meta, 's', who, 'b', ms)
  return 1
end
if state[1] ~= who then return 0 end
redis.call('HSET', meta, 'b', ms)
if step == 'end' then
  -- What was evicted meanwhile shows in the counts.
  if not whole() then return 0 end
  redis.call('HSET', meta, 's', 'ok')
  return 1
end
for at = 4, #ARGV do
  local value = redis.pcall('GETRANGE', ARGV[at], 0, 8191)
  if body_of(value) then enter(letter_of(ARGV[at]), places_of(value, key_of(ARGV[at]))) end
end
count_growth()
return 1
