-- cancel: ends jobs before their time. One that waits will not run; one that runs is to be stopped by
-- its worker, which is told on the control channel, and at its next beat.
-- ARGV  ids
-- gives for each: 0 no live job has this id, 1 it will not run (again), 2 it runs and its worker is told
local TIES_MAX = 250 -- delayed jobs of the same due time that are looked at
local states = call('HMGET', STATE, unpack(ARGV))
local reply, fresh, running, front = {}, {}, {}, {}

-- Its row is written when it is claimed: at once, if it is found among those of the same due time.
local function take_delayed(id, due)
    for _, stored in ipairs(call('ZRANGEBYSCORE', DELAYED, due, due, 'LIMIT', 0, TIES_MAX)) do
        local _, item = split(stored)
        if id_of(item) == id then
            call('ZREM', DELAYED, stored)
            front[#front + 1] = item
            return
        end
    end
end

local function stop_running(id, st, last)
    local len = string.byte(st, last + 3) or 0
    call('SADD', TAG .. 'cancels:' .. string.sub(st, last + 4, last + 3 + len), id)
    running[#running + 1] = id
end

for i, id in ipairs(ARGV) do
    local st = states[i]
    local last = type_end(st)
    local state = last and string.byte(st, 2)
    reply[i] = last and 1 or 0
    if state == RUNNING then
        reply[i] = 2
        stop_running(id, st, last)
    elseif last and state ~= CANCELLED then
        fresh[#fresh + 1] = id
        fresh[#fresh + 1] = cancelled(string.sub(st, 1, last)) .. '\192'
        if (state == SCHEDULED or state == RETRYING) and #st >= last + 10 then
            take_delayed(id, (struct.unpack('>I8', st, last + 3)))
        end
    end
end
if #fresh > 0 then
    call('HSET', STATE, unpack(fresh))
end
if #front > 0 then
    call('RPUSH', READY[1], unpack(front))
    leave_token()
end
if #running > 0 then
    call('PUBLISH', TAG .. 'control', table.concat(running))
end
changed(ARGV)
return reply
