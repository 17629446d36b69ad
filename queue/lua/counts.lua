-- counts: how much of everything a queue has. Reads only.
-- ARGV  prefix of active keys
-- gives {ready x 4, delayed, active, consumers, paused, then the counters: enqueued, claimed,
--       settled, retried, released, reaped; how many of the ready ones wait for their key's turn;
--       limits (eight numbers, or '')}
local CONSUMERS_MAX = 1000
local reply = {}
for p = 1, 4 do
    reply[p] = call('LLEN', READY[p])
end
reply[5] = call('ZCARD', DELAYED)
reply[6] = 0
for _, name in ipairs(call('ZRANGE', CONSUMERS, 0, CONSUMERS_MAX - 1)) do
    reply[6] = reply[6] + call('HLEN', ARGV[1] .. name)
end
reply[7] = call('ZCARD', CONSUMERS)
reply[8] = is_paused() and 1 or 0
local counters = call('HMGET', META, 'enqueued', 'claimed', 'settled', 'retried', 'released', 'reaped', 'limits')
for i = 1, 6 do
    reply[8 + i] = tonumber(counters[i] or '0') or 0
end
reply[15] = 0
for p, parked in ipairs(call('HMGET', PARKED, '0', '1', '2', '3')) do
    local n = math.max(0, tonumber(parked or '0') or 0)
    reply[p] = reply[p] + n
    reply[15] = reply[15] + n
end
reply[16] = counters[7] or ''
return reply
