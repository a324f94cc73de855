-- How many entries there are, and about how many bytes of the server's memory they take with their index. ARGV: prefix, then
-- letters. Answers both for each; no bytes where the server does not tell.
local SAMPLE = 16
local function memory(name)
  local bytes = redis.pcall('MEMORY', 'USAGE', name, 'SAMPLES', SAMPLE)
  return type(bytes) == 'number' and bytes or 0
end

local answer = {}
for at = 2, #ARGV do
  local letter = ARGV[at]
  local index = index_of(letter)
  local count, bytes = redis.call('ZLEXCOUNT', index, '[k', '(l'), 0
  -- Names are digests, mostly: the first ones are like any others.
  local sample = redis.call('ZRANGEBYLEX', index, '[k', '(l', 'LIMIT', 0, SAMPLE)
  for _, member in ipairs(sample) do bytes = bytes + memory(name_of(letter, sub(member, 2))) end
  if #sample > 0 then bytes = bytes / #sample * count end
  answer[#answer + 1] = count
  answer[#answer + 1] = math.floor(bytes + memory(index))
end
return answer
