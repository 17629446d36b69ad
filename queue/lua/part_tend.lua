-- What keeps limits right whatever happened: bounded looks at what is written down. A slot counts
-- only while its job is claimed; a gate that nothing opens any more is opened here.
local RATES_MAX, SLOTS_MAX, OPEN_MAX = 256, 64, 8

-- A bucket that is full again says no more than none.
local function forget_full_rates()
    local full = call('ZRANGEBYSCORE', RATES, '-inf', NOW_US, 'LIMIT', 0, RATES_MAX)
    if #full > 0 then
        call('ZREM', RATES, unpack(full))
    end
end

local CLAIMED = 0x93 -- how the detail of a job begins that somebody has claimed

local function is_claimed(st, id, prefix)
    local last = type_end(st)
    if not last or string.byte(st, last + 1) ~= CLAIMED then
        return false
    end
    local len = string.byte(st, last + 3) or 0
    return call('HEXISTS', prefix .. string.sub(st, last + 4, last + 3 + len), id) == 1
end

local function heal_slots(prefix)
    local ids, stray = call('HRANDFIELD', SLOTS, SLOTS_MAX), {}
    if #ids == 0 then
        return
    end
    for i, st in ipairs(call('HMGET', STATE, unpack(ids))) do
        if not is_claimed(st, ids[i], prefix) then
            stray[#stray + 1] = ids[i]
        end
    end
    free_slots(stray)
end

-- Ids that are counted for a key and not written down for it.
local function heal_count(key)
    local list = SLOTS .. ':' .. key
    local ids = call('SRANDMEMBER', list, SLOTS_MAX)
    if #ids > 0 then
        for i, held in ipairs(call('HMGET', SLOTS, unpack(ids))) do
            if held ~= key then
                call('SREM', list, ids[i])
            end
        end
    end
end

local function heal_gates(prefix)
    local whole, each = read_limits(call('HGET', META, 'limits') or '')
    for _, key in ipairs(call('ZRANDMEMBER', GATES, OPEN_MAX)) do
        local b
        if key == '' then
            b = budget(whole, key, held_by_all, prefix)
        else
            heal_count(key)
            b = budget(each, key, held_by_key, key)
        end
        if tonumber(call('ZSCORE', GATES, key)) >= SHUT and opens(b) < SHUT then
            call('ZADD', GATES, opens(b), key)
        end
    end
end

-- Gives whether limits are in use.
local function tend(prefix)
    if call('EXISTS', GATES, SLOTS, RATES) == 0 then
        return false
    end
    forget_full_rates()
    heal_slots(prefix)
    heal_gates(prefix)
    return true
end

-- How fast a queue is worked off, for explain.lua: two marks of the counter, between which lie at
-- least MARK_MS; nothing is written while nothing is claimed.
local MARK_MS = 10000

local function mark_claims()
    local n = call('HMGET', META, 'claimed', 'mark_at', 'mark_claimed', 'before_at', 'before_claimed')
    local claimed, at = n[1] or '0', tonumber(n[2] or '0')
    local moved = claimed ~= (n[3] or '0') or n[3] ~= n[5]
    if moved and NOW - at >= MARK_MS then
        call('HSET', META, 'mark_at', NOW, 'mark_claimed', claimed,
            'before_at', n[2] or NOW, 'before_claimed', n[3] or claimed)
    end
end
