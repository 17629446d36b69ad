-- Moves jobs that are due from delayed to the end of their ready lists; gives how many.
local PROMOTE_MAX = 100

local function mark_queued(ids)
    local fresh = {}
    if #ids == 0 then
        return
    end
    local states = call('HMGET', STATE, unpack(ids))
    for i, id in ipairs(ids) do
        local st = states[i]
        local last = type_end(st)
        if last and (string.byte(st, 2) == SCHEDULED or string.byte(st, 2) == RETRYING) then
            fresh[#fresh + 1] = id
            fresh[#fresh + 1] = queued(st, last, false)
        end
    end
    if #fresh > 0 then
        call('HSET', STATE, unpack(fresh))
    end
end

local function promote()
    local due = call('ZRANGEBYSCORE', DELAYED, '-inf', NOW, 'LIMIT', 0, PROMOTE_MAX)
    if #due == 0 then
        return 0
    end
    -- They are the first of the set, so the rank says which: no member is looked up by its bytes.
    call('ZREMRANGEBYRANK', DELAYED, 0, #due - 1)
    local lists, ids = {{}, {}, {}, {}}, {}
    for _, stored in ipairs(due) do
        local p, item = split(stored)
        lists[p][#lists[p] + 1] = item
        ids[#ids + 1] = id_of(item) or nil
    end
    push('LPUSH', lists)
    mark_queued(ids)
    changed(ids)
    return #due
end
