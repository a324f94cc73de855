-- A batch: judged and made on a copy in memory, then written as a whole.
-- KEYS[n + 1]: the entry of operation n, of as many as ARGV[2] says; then the indexes of their spaces, named so that
-- a Cluster that is moving some of them refuses the whole before anything is written. When entries were used is not named:
-- that may be lost.
-- ARGV: each operation's code, condition and what it needs.
-- Answers {1, version (and count) of each}, {0, position, version found} where refused, {2, position} for a counter
-- that is a record.
local was, now, touched, order, last, begun = {}, {}, {}, {}, nil, false
local written = pack('>I8', ms)

local function look(name)
  local value = now[name]
  if value == nil then
    value = redis.pcall('GET', name)
    if value and not sound(value) then value = false end
    was[name], now[name], order[#order + 1] = value, value, name
  end
  return value
end

-- Greater than any before, also where the counter itself was lost: it never runs behind the clock.
local function version()
  if not last then
    local known = redis.call('HGET', meta, 'last')
    -- Where there is nothing at all, nothing was evicted: the indexes are whole.
    begun = not known and redis.call('DBSIZE') == 0
    last = math.max(tonumber(known or 0), clock[1] * 1000000 + clock[2])
  end
  last = last + 1
  return pack('>I8', last)
end

-- As labels write times: the sign turned round, so that bytes sort as numbers do.
local function moment() return '\128' .. sub(written, 2) end

local function finish_in(ttl) return ttl == '' and NEVER or pack('>I8', ms + tonumber(ttl)) end

-- Of two numbers of 64 bits, which Lua has not.
local function sum(a, b)
  local ah, al = unpack_bytes('>i4I4', a)
  local bh, bl = unpack_bytes('>i4I4', b)
  local high, low = ah + bh, al + bl
  if low >= 4294967296 then high, low = high + 1, low - 4294967296 end
  if high > 2147483647 then high, low = 2147483647, 4294967295 end
  if high < -2147483648 then high, low = -2147483648, 0 end
  return pack('>i4I4', high, low)
end

local function set(call, name, value, finish)
  if finish == 0 then call('SET', name, value) else call('SET', name, value, 'PXAT', string.format('%.0f', finish)) end
end

local answers, at = {1}, 3
for number = 2, ARGV[2] + 1 do
  local name, code, when = KEYS[number], ARGV[at], ARGV[at + 1]
  local value = look(name)
  local found = value and sub(value, 2, 9) or ''
  if (when == '-' and value) or (#when == 8 and when ~= found) then
    return {0, number - 2, found}
  end
  if code == 'P' then
    local kind, count, time, ttl, terms, tail = unpack(ARGV, at + 2, at + 7)
    at = at + 8
    local fresh = version()
    now[name] = '\1' .. fresh .. (value and sub(value, 10, 17) or fresh)
      .. (time == '' and moment() or time) .. count .. finish_in(ttl) .. written .. kind
      .. pack('>I2', #terms / 8) .. terms .. tail
    answers[#answers + 1] = fresh
  elseif code == 'A' then
    local by, ttl, tail = unpack(ARGV, at + 2, at + 4)
    at = at + 5
    if value and sub(value, 50, 50) ~= 'c' then return {2, number - 2} end
    local fresh, count = version(), by
    if value then
      count = sum(sub(value, 26, 33), by)
      now[name] = '\1' .. fresh .. sub(value, 10, 25) .. count .. sub(value, 34, 41) .. written .. sub(value, 50)
    else
      now[name] = '\1' .. fresh .. fresh .. moment() .. count .. finish_in(ttl) .. written .. 'c\0\0' .. tail
    end
    answers[#answers + 1] = fresh .. count
  elseif code == 'T' then
    if value and value == was[name] then
      touched[name] = math.max(touched[name] or 0, ms - tonumber(ARGV[at + 2]))
    end
    at = at + 3
    answers[#answers + 1] = found
  else
    at = at + 2
    if code == 'D' then now[name], found = false, '' end
    answers[#answers + 1] = found
  end
end

-- From here on everything happens. The first write is one that a full server refuses.
if last then redis.call('HSET', meta, 'last', string.format('%.0f', last)) end
if begun then redis.call('HSET', meta, 's', 'ok') end
for _, name in ipairs(order) do
  local old, new, letter, key = was[name], now[name], letter_of(name), key_of(name)
  if old ~= new then
    local before, gone, come = {}, {}, {}
    for _, place in ipairs(old and places_of(old, key) or {}) do before[place] = true end
    for _, place in ipairs(new and places_of(new, key) or {}) do
      if before[place] then before[place] = nil else come[#come + 1] = place end
    end
    for place in pairs(before) do gone[#gone + 1] = place end
    if new then
      set(redis.call, name, new, unpack_bytes('>I8', new, 34))
    else
      redis.call('DEL', name)
    end
    leave(letter, gone)
    enter(letter, come)
    if old then redis.pcall('DEL', used_of(letter, key)) end
  elseif touched[name] and touched[name] > unpack_bytes('>I8', old, 42) then
    local used = used_of(letter, key)
    local known = redis.pcall('GET', used)
    if type(known) ~= 'table' and touched[name] > (tonumber(known or 0) or 0) then
      set(redis.pcall, used, string.format('%.0f', touched[name]), unpack_bytes('>I8', old, 34))
    end
  end
end

-- A few of those that have ended since: their keys are gone by themselves, their places are not.
local due = '(e' .. pack('>I8', math.max(ms - 1000, 0))
local letters = {}
for letter in pairs(grown) do letters[#letters + 1] = letter end
for _, letter in ipairs(letters) do
  for _, member in ipairs(redis.call('ZRANGEBYLEX', index_of(letter), '[e', due, 'LIMIT', 0, 8)) do
    local terms_end = 11 + 8 * unpack_bytes('>I2', member, 10)
    local key = sub(member, terms_end + 17)
    -- The one key that is not named above: where it is being moved, another time will do.
    local exists = redis.pcall('EXISTS', name_of(letter, key))
    if exists == 0 then
      local time, made = sub(member, terms_end + 1, terms_end + 8), sub(member, terms_end + 9, terms_end + 16)
      leave(letter, places(sub(member, 2, 9), time, made, sub(member, 12, terms_end), key))
    elseif exists == 1 then
      leave(letter, {member})
    end
  end
end
count_growth()
return answers
