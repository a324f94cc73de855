-- Some entries by their places in an index. ARGV: letter, from, to, '1' for backwards, how many, how many bytes of a
-- place stand before the key, how many bytes of entries are enough.
-- Answers {0} where the index is not whole, else {1, now, last place looked at, whether that was all, then place, value
-- and last use of each}.
local letter, from, to, back, limit = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local before, enough = tonumber(ARGV[7]), tonumber(ARGV[8])
local index = index_of(letter)
local state = redis.call('HMGET', meta, 's', letter)
if state[1] ~= 'ok' or tonumber(state[2] or 0) ~= redis.call('ZCARD', index) then return {0} end

local members
if back == '1' then
  members = redis.call('ZREVRANGEBYLEX', index, to, from, 'LIMIT', 0, limit)
else
  members = redis.call('ZRANGEBYLEX', index, from, to, 'LIMIT', 0, limit)
end
local answer, size, gone, seen = {1, ms, '', 1}, 0, {}, 0
for _, member in ipairs(members) do
  if size >= enough then break end
  seen = seen + 1
  answer[3] = member
  local key = sub(member, before + 1)
  local found = redis.call('MGET', name_of(letter, key), used_of(letter, key))
  local value = found[1]
  -- An entry that is gone (evicted, expired) or was made anew since leaves this place behind.
  if not value or (before > 16 and sub(member, before - 15, before) ~= sub(value, 18, 25) .. sub(value, 10, 17)) then
    gone[#gone + 1] = member
  else
    size = size + #value
    answer[#answer + 1] = member
    answer[#answer + 1] = value
    answer[#answer + 1] = found[2] or ''
  end
end
if seen == limit or seen < #members then answer[4] = 0 end
if #gone > 0 then
  leave(letter, gone)
  count_growth()
end
return answer
