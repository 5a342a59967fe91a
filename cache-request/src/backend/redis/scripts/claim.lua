-- KEYS: the value, the record of its claim. ARGV: "missing", "any" or "anew"; the claim's token; its lease in milliseconds.
-- Returns a value alone if nothing is claimed, else {value}, or {value, record, milliseconds left} if an older record stays.
local value = redis.pcall('GET', KEYS[1])
if type(value) == 'table' then
  if not string.find(value.err, 'WRONGTYPE', 1, true) then return value end
  value = false -- What another program has put there is to be replaced.
end
if value and ARGV[1] == 'missing' then return value end
local record = redis.call('GET', KEYS[2])
if record and (record == 'refused' or ARGV[1] ~= 'anew') then
  return {value, record, redis.call('PTTL', KEYS[2])}
end
local set = redis.pcall('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
-- A server without room stores no value either. Its values can be read all the same.
if set.err then return {value, 'refused', 0} end
return {value}
