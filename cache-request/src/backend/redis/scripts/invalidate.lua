-- KEYS: the value, the record of its claim. ARGV: for how many milliseconds values are refused, or "0".
local gone = redis.call('UNLINK', KEYS[1])
local left = -1
if redis.call('GET', KEYS[2]) == 'refused' then left = redis.call('PTTL', KEYS[2]) end
if tonumber(ARGV[1]) > math.max(left, 0) then
  redis.call('SET', KEYS[2], 'refused', 'PX', ARGV[1])
elseif left < 0 then
  redis.call('UNLINK', KEYS[2])
end
return gone
