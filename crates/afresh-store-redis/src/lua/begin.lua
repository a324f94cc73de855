-- On a server that holds nothing the indexes of a store are whole: nothing was evicted from them. KEYS[1]: the store's own
-- record.
if redis.call('DBSIZE') == 0 then redis.call('HSET', KEYS[1], 's', 'ok') end
return 1
