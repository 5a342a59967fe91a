-- KEYS: the value, the record of its claim. ARGV: the fence, the value, its timeout in milliseconds, or "" for ever.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local stored
-- Before anything else is written, as the server has no limit of memory for later writes of a script.
if ARGV[3] == '' then
  stored = redis.pcall('SET', KEYS[1], ARGV[2])
else
  stored = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
if stored.err then
  redis.call('UNLINK', KEYS[1], KEYS[2])
  return stored
end
return redis.call('UNLINK', KEYS[2])
