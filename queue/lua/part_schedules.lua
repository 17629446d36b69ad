-- Schedules: behind the ten keys of the queue.
local RECORDS, JOBS, PAST, TICKS = KEYS[11], KEYS[12], KEYS[13], KEYS[14]

-- The revision stands at a fixed place of the record; every change gives it a new one. '': no record.
local function rev_of(name)
    local record = call('HGET', RECORDS, name)
    return record and string.sub(record, 11, 26) or ''
end

-- The next tick as text, '' where there is none.
local function tick_of(name)
    local score = call('ZSCORE', TICKS, name)
    return score and string.format('%.0f', tonumber(score)) or ''
end

local function set_tick(name, tick)
    if tick == '' then
        call('ZREM', TICKS, name)
    else
        call('ZADD', TICKS, tick, name)
    end
end
