-- What every script knows of the stored form: docs/format-store-redis.md.
-- KEYS[1] is the store's own record ("meta"), ARGV[1] what every key begins with.
local meta, prefix = KEYS[1], ARGV[1]
local sub, pack, unpack_bytes = string.sub, struct.pack, struct.unpack
local NEVER = pack('>I8', 0)
local clock = redis.call('TIME')
local ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
-- By how many members each index has grown.
local grown = {}

local function letter_of(name) return sub(name, #prefix + 2, #prefix + 2) end
local function key_of(name) return sub(name, #prefix + 4) end
local function name_of(letter, key) return prefix .. ':' .. letter .. ':' .. key end
local function index_of(letter) return prefix .. ':i:' .. letter end
local function used_of(letter, key) return prefix .. ':u:' .. letter .. ':' .. key end

-- Where the entry begins in a value of ours; nothing where it is none: somebody wrote over it, or what is there is no
-- string (then GET's answer is a table).
local function body_of(value)
  if type(value) ~= 'string' or #value < 57 or sub(value, 1, 1) ~= '\1' then return nil end
  local body = 53 + 8 * unpack_bytes('>I2', value, 51)
  return #value >= body + 4 and body or nil
end

-- Whether this is a value of ours, as far as can be told without reading the entry in it. What is not is as good as absent.
local function sound(value)
  local body = body_of(value)
  if not body then return false end
  local flag = body + 4 + unpack_bytes('>I4', value, body)
  return #value == flag or (#value > flag and sub(value, flag, flag) == '\1')
end

-- The places of an entry in the index of its space.
local function places(finish, time, made, terms, key)
  local all = {'k' .. key, 't' .. time .. made .. key}
  for at = 1, #terms, 8 do
    local term = sub(terms, at, at + 7)
    all[#all + 1] = 'K' .. term .. key
    all[#all + 1] = 'T' .. term .. time .. made .. key
  end
  if finish ~= NEVER then
    all[#all + 1] = 'e' .. finish .. pack('>I2', #terms / 8) .. terms .. time .. made .. key
  end
  return all
end

-- The same, told from the beginning of its value.
local function places_of(value, key)
  local terms = sub(value, 53, 52 + 8 * unpack_bytes('>I2', value, 51))
  return places(sub(value, 34, 41), sub(value, 18, 25), sub(value, 10, 17), terms, key)
end

local function enter(letter, members)
  if #members == 0 then return end
  local scored = {}
  for at, member in ipairs(members) do
    scored[2 * at - 1], scored[2 * at] = 0, member
  end
  local new = redis.call('ZADD', index_of(letter), unpack(scored))
  grown[letter] = (grown[letter] or 0) + new
end

local function leave(letter, members)
  if #members == 0 then return end
  grown[letter] = (grown[letter] or 0) - redis.call('ZREM', index_of(letter), unpack(members))
end

-- An index that was evicted has fewer members than are counted here: so it is noticed.
local function count_growth()
  for letter, by in pairs(grown) do
    if by ~= 0 then redis.call('HINCRBY', meta, letter, by) end
  end
end
