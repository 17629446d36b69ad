-- settle: ends claims of one consumer. A job that is not ours in that attempt is left alone.
-- ARGV  consumer, number of done jobs, their ids, their attempts (4 bytes each);
--       then for each other job: id, attempt, "retry" or "release", delay in ms, error (msgpack str)
-- gives {position (1 is the first), code, ...} of those left alone; codes: 1 a newer attempt or
--       another consumer has it, 2 no live job has this id, 3 it waits, with this attempt its last
local n = tonumber(ARGV[2])
local sub, byte = string.sub, string.byte
local odd = {}

local function set_aside(position, st, attempt)
    local code = 1
    if not type_end(st) then
        code = 2
    elseif byte(st, 2) ~= RUNNING and sub(st, 13, 16) == attempt then
        code = 3
    end
    odd[#odd + 1] = position
    odd[#odd + 1] = code
end

local function settle_done()
    local states = call('HMGET', STATE, unpack(ARGV, 3, n + 2))
    local ours = {}
    for i = 1, n do
        if is_ours(states[i], ARGV[n + 2 + i]) then
            ours[#ours + 1] = ARGV[2 + i]
        else
            set_aside(i, states[i], ARGV[n + 2 + i])
        end
    end
    if #ours > 0 then
        if call('EXISTS', cancels_of(ACTIVE)) == 1 then
            forget_cancels(ACTIVE, ours)
        end
        call('HDEL', ACTIVE, unpack(ours))
        call('HDEL', STATE, unpack(ours))
        release_keys(ours)
        call('HINCRBY', META, 'settled', #ours)
        free_slots(ours)
        changed(ours)
    end
end

local function settle_others(first)
    local ids, fresh, moved, delayed = {}, {}, {}, {}
    local front, back = {{}, {}, {}, {}}, {{}, {}, {}, {}}
    local released, soonest = 0, nil
    for i = first, #ARGV, 5 do
        ids[#ids + 1] = ARGV[i]
    end
    local states, held = call('HMGET', STATE, unpack(ids)), call('HMGET', ACTIVE, unpack(ids))
    local wanted, any_wanted = wanted_cancels(ACTIVE, ids)
    for i, id in ipairs(ids) do
        local arg, st, stored = first + 5 * (i - 1), states[i], held[i]
        local last = stored and is_ours(st, ARGV[arg + 1])
        if not last then
            set_aside(n + i, st, ARGV[arg + 1])
        else
            local p, item = split(stored)
            local delay = tonumber(ARGV[arg + 3])
            moved[#moved + 1], fresh[#fresh + 1] = id, id
            if wanted[i] == 1 or byte(st, 2) == CANCELLED then
                -- It does not wait for another attempt: whoever claims it writes its end.
                front[1][#front[1] + 1] = item
                fresh[#fresh + 1] = queued(wanted[i] == 1 and cancelled(st) or st, last, false)
            elseif ARGV[arg + 2] == 'release' then
                released = released + 1
                front[p][#front[p] + 1] = item
                fresh[#fresh + 1] = queued(st, last, true)
            elseif delay == 0 then
                back[p][#back[p] + 1] = item
                fresh[#fresh + 1] = queued(st, last, false)
            else
                local due = NOW + delay
                delayed[#delayed + 1] = due
                delayed[#delayed + 1] = stored
                soonest = math.min(soonest or due, due)
                fresh[#fresh + 1] = '\151\4' .. NOW_MP .. sub(st, 12, last) .. '\146'
                    .. struct.pack('>BI8', 0xcf, due) .. ARGV[arg + 4]
            end
        end
    end
    if #moved == 0 then
        return
    end
    call('HDEL', ACTIVE, unpack(moved))
    call('HSET', STATE, unpack(fresh))
    free_slots(moved)
    if any_wanted then
        forget_cancels(ACTIVE, moved)
    end
    changed(moved)
    push('RPUSH', front)
    push('LPUSH', back)
    local wake = #moved > #delayed / 2
    if soonest then
        local before = next_due()
        call('ZADD', DELAYED, unpack(delayed))
        wake = wake or before == 0 or soonest < before
    end
    if wake then
        leave_token()
    end
    if released > 0 then
        call('HINCRBY', META, 'released', released)
    end
    if #moved > released then
        call('HINCRBY', META, 'retried', #moved - released)
    end
end

if n > 0 then
    settle_done()
end
if #ARGV > 2 * n + 2 then
    settle_others(2 * n + 3)
end
return odd
