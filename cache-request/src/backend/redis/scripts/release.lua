-- KEYS: the value, the record of its claim. ARGV: the fence.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[2])
