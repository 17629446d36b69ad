-- Schedules: behind the ten keys of the queue.
local RECORDS, JOBS, PAST, TICKS = KEYS[11], KEYS[12], KEYS[13], KEYS[14]

-- The revision stands at a fixed place of the record; every change gives it a new one. '': no record.
local function rev_of(name)
    local record = call('HGET', RECORDS, name)
    return record and string.sub(record, 11, 26) or ''
end

-- When the first of them has a tick, due or not, Unix ms; 0: none (or never). Who was not given their keys is told of none.
local function next_tick()
    local first = TICKS and tonumber(call('ZRANGE', TICKS, 0, 0, 'WITHSCORES')[2] or '0') or 0
    return first < 2 ^ 53 and math.max(math.ceil(first), 0) or 0
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
