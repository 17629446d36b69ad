-- Puts claimed jobs back to the end of the list where they will be claimed next. With excuse the
-- attempt does not count against the job: nobody can say that the job was at fault.
local function give_back(active, ids, stored, excuse)
    if #ids == 0 then
        return
    end
    local states = call('HMGET', STATE, unpack(ids))
    local wanted, any_wanted = wanted_cancels(active, ids)
    local lists, fresh = {{}, {}, {}, {}}, {}
    for i, id in ipairs(ids) do
        local p, item = split(stored[i])
        local last = type_end(states[i])
        lists[p][#lists[p] + 1] = item
        if last then
            fresh[#fresh + 1] = id
            fresh[#fresh + 1] = queued(wanted[i] == 1 and cancelled(states[i]) or states[i], last, excuse)
        end
    end
    push('RPUSH', lists)
    if #fresh > 0 then
        call('HSET', STATE, unpack(fresh))
    end
    call('HDEL', active, unpack(ids))
    free_slots(ids)
    if any_wanted then
        forget_cancels(active, ids)
    end
    changed(ids)
end

-- Gives back at most `limit` of what `active` holds; the number, and whether some are left.
local function give_back_some(active, limit, excuse)
    local found = call('HRANDFIELD', active, limit, 'WITHVALUES')
    local ids, stored = {}, {}
    for i = 1, #found, 2 do
        ids[#ids + 1] = found[i]
        stored[#stored + 1] = found[i + 1]
    end
    give_back(active, ids, stored, excuse)
    return #ids, call('EXISTS', active) == 1
end

-- A consumer that will not come back: its jobs, then its name. Until all are given back its beat
-- is 0, which claim and beat take for gone. Gives the number, and whether some are left.
local function bury_consumer(name, active, limit, excuse)
    local n, left = give_back_some(active, limit, excuse)
    if left then
        call('ZADD', CONSUMERS, 'XX', 0, name)
    else
        call('ZREM', CONSUMERS, name)
        call('HDEL', WORKERS, name)
        call('DEL', cancels_of(active))
    end
    return n, left
end
