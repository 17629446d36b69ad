-- Ready lists and the wake token. Jobs go in at the left and are taken at the right.
local function any_ready()
    return call('EXISTS', READY[1], READY[2], READY[3], READY[4]) > 0
end

-- The same, or jobs that wait for their key's turn (part_slots.lua).
local function any_waiting()
    return any_ready() or call('EXISTS', string.sub(META, 1, -5) .. 'gates') == 1
end

local function leave_token()
    if call('LLEN', WAKE) == 0 then
        call('LPUSH', WAKE, '1')
    end
end

local function is_paused()
    return call('HGET', META, 'paused') == '1'
end

-- What active and delayed hold is a priority digit and the item. Gives the index into READY.
local function split(stored)
    local digit = string.byte(stored, 1)
    if digit and digit >= 48 and digit <= 51 then
        return digit - 47, string.sub(stored, 2)
    end
    return 3, stored
end

-- by_priority[p] is a list of items for READY[p].
local function push(command, by_priority)
    for p = 1, 4 do
        if #by_priority[p] > 0 then
            call(command, READY[p], unpack(by_priority[p]))
        end
    end
end
