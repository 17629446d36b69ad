-- schedule_due: which schedules have a tick that is due.
-- ARGV  at most how many
-- gives {now, the first tick that is not due or 0, then for each due one: name, tick, record, job}
local later = call('ZRANGEBYSCORE', TICKS, '(' .. NOW, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
local reply = {NOW, later and tonumber(later) < 2 ^ 53 and math.ceil(tonumber(later)) or 0}
for _, name in ipairs(call('ZRANGEBYSCORE', TICKS, '-inf', NOW, 'LIMIT', 0, ARGV[1])) do
    local record, job = call('HGET', RECORDS, name), call('HGET', JOBS, name)
    if record and job then
        reply[#reply + 1] = name
        reply[#reply + 1] = tick_of(name)
        reply[#reply + 1] = record
        reply[#reply + 1] = job
    else
        call('ZREM', TICKS, name) -- somebody else has deleted a part of it
    end
end
return reply
