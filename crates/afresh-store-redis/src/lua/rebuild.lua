-- Makes the indexes anew, a few keys at a time, beside writers who go on entering theirs.
-- ARGV: what to do, who does it, then the names of some entries. Answers whether it may go on: 1; 0 where it must begin
-- anew; 2 where nothing is to be done; 3 where another is at it. To begin, and to the letters of the spaces to go through.
local step, who = ARGV[2], ARGV[3]
local LETTERS = {'h', 'c', 'l', 'n', 'v'}
local function lost()
  local letters = ''
  for _, letter in ipairs(LETTERS) do
    local counted = tonumber(redis.call('HGET', meta, letter) or 0)
    if counted ~= redis.call('ZCARD', index_of(letter)) then letters = letters .. letter end
  end
  return letters
end

local state = redis.call('HMGET', meta, 's', 'b')
if step == 'begin' then
  local letters = lost()
  if state[1] == 'ok' and letters == '' then return {2, ''} end
  if state[1] and state[1] ~= 'ok' and state[1] ~= who and tonumber(state[2] or 0) > ms - 3000 then return {3, ''} end
  -- Where the state itself is lost, or a walk was not ended, any of them may lack something.
  if state[1] ~= 'ok' then letters = table.concat(LETTERS) end
  for letter in string.gmatch(letters, '.') do
    redis.call('HSET', meta, letter, redis.call('ZCARD', index_of(letter)))
  end
  redis.call('HSET', meta, 's', who, 'b', ms)
  return {1, letters}
end
if state[1] ~= who then return 0 end
redis.call('HSET', meta, 'b', ms)
if step == 'end' then
  -- What was evicted meanwhile shows in the counts.
  if lost() ~= '' then return 0 end
  redis.call('HSET', meta, 's', 'ok')
  return 1
end
for at = 4, #ARGV do
  local value = redis.pcall('GETRANGE', ARGV[at], 0, 8191)
  if body_of(value) then enter(letter_of(ARGV[at]), places_of(value, key_of(ARGV[at]))) end
end
count_growth()
return 1
