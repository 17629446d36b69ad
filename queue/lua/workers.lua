-- workers: who works on a queue. Reads only.
-- ARGV  prefix of active keys
-- gives {now, then for each consumer: name, last beat, who it is (msgpack map or ''), claims held}
local CONSUMERS_MAX = 1000
local reply = {NOW}
local found = call('ZRANGE', CONSUMERS, 0, CONSUMERS_MAX - 1, 'WITHSCORES')
for i = 1, #found, 2 do
    local r = #reply
    reply[r + 1], reply[r + 2] = found[i], tonumber(found[i + 1])
    reply[r + 3] = call('HGET', WORKERS, found[i]) or ''
    reply[r + 4] = call('HLEN', ARGV[1] .. found[i])
end
return reply
