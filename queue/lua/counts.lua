-- counts: how much of everything a queue has. Reads only.
-- ARGV  prefix of active keys
-- gives {ready x 4, delayed, active, consumers, paused, then the counters: enqueued, claimed,
--       settled, retried, released, reaped; how many of the ready ones wait for their key's turn;
--       limits (eight numbers, or ''); last {the caps on jobs, bytes and age (0: none), memory
--       of what waits, for how many ms the oldest ready job has been}}
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
local caps = call('HMGET', META, 'cap_jobs', 'cap_bytes', 'cap_age_ms')
for i = 1, 3 do
    caps[i] = tonumber(caps[i] or '0') or 0
end
caps[4], caps[5] = waiting_bytes(), oldest_ms()
reply[#reply + 1] = caps
return reply
