-- Sets a damaged entry aside, if it is still the one that was read. KEYS: the entry, where it goes, when it was used;
-- ARGV[1]: what was read. Its places in the index are taken out by whoever comes across them.
if redis.pcall('GET', KEYS[1]) == ARGV[1] then
  redis.call('RENAME', KEYS[1], KEYS[2])
  redis.call('DEL', KEYS[3])
end
return 1
