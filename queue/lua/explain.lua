-- explain: what is known about why a job waits. Reads only, and bounded.
-- ARGV  id, prefix of active keys
-- gives {}: no live job of this queue; or {state value, now, paused, limits, claims of the queue, when
--       its bucket is full (us), living workers, their slots, what they hold, place (0 not found, 1 ready list,
--       2 parked, 3 delayed, 4 claimed), jobs ahead, whether that is exact, item (or ''), key (or ''),
--       claims of the key, when its bucket is full (us), claims in the time measured, that time (ms)}
local LOOK_MAX, PAGE, BYTES_MAX, GATES_MAX, CONSUMERS_MAX = 2000, 100, 4 * 1024 * 1024, 200, 1000
local LEASE_MS = 10000
local id, prefix = ARGV[1], ARGV[2]
local st = call('HGET', STATE, id)
local last = type_end(st)
local look, bytes = LOOK_MAX, BYTES_MAX
local alive, slots, busy, held = 0, 0, 0, 0

if not last then
    return {}
end

local function count_workers()
    local found = call('ZRANGE', CONSUMERS, 0, CONSUMERS_MAX - 1, 'WITHSCORES')
    for i = 1, #found, 2 do
        local n = call('HLEN', prefix .. found[i])
        local known, info = pcall(cmsgpack.unpack, call('HGET', WORKERS, found[i]) or '')
        local lease = known and type(info) == 'table' and tonumber(info.lease_ms) or LEASE_MS
        held = held + n
        if tonumber(found[i + 1]) + lease >= NOW then
            alive = alive + 1
            slots = slots + (known and type(info) == 'table' and tonumber(info.slots) or 0)
            busy = busy + n
        end
    end
end

-- The item of that id in a list, and how many come before it; nil and what was looked at.
local function find(list)
    local seen = 0
    while look > 0 and bytes > 0 do
        local page = call('LRANGE', list, -seen - PAGE, -seen - 1)
        for i = #page, 1, -1 do
            local item = page[i]
            if (id_of(item)) == id then
                return item, seen + #page - i
            end
            bytes = bytes - #item
        end
        seen, look = seen + #page, look - #page
        if #page < PAGE then
            break
        end
    end
    return nil, seen
end

local function find_parked(p)
    for _, key in ipairs(call('ZRANGE', GATES, 0, GATES_MAX - 1)) do
        local item, ahead = find(PARKED .. ':' .. (p - 1) .. ':' .. key)
        if item then
            for higher = 1, p - 1 do
                ahead = ahead + call('LLEN', PARKED .. ':' .. (higher - 1) .. ':' .. key)
            end
            return item, ahead
        end
        if look <= 0 or bytes <= 0 then
            break
        end
    end
    return nil
end

-- Gives place, jobs ahead, whether that is exact, item.
local function place_queued(p)
    local ahead, exact = 0, 1
    for higher = 1, p - 1 do
        ahead = ahead + call('LLEN', READY[higher])
    end
    local item, before = find(READY[p])
    if item then
        return 1, ahead + before, 1, item
    end
    if look <= 0 or bytes <= 0 then
        exact = 0
    end
    look, bytes = LOOK_MAX, BYTES_MAX
    local parked, behind = find_parked(p)
    if parked then
        return 2, behind, 1, parked
    end
    return 0, ahead + before, exact == 1 and (look <= 0 or bytes <= 0) and 0 or exact, ''
end

local function place_delayed()
    local due = #st >= last + 10 and string.byte(st, last + 2) == 0xcf and struct.unpack('>I8', st, last + 3) or 0
    for _, stored in ipairs(call('ZRANGEBYSCORE', DELAYED, due, due, 'LIMIT', 0, PAGE)) do
        local _, item = split(stored)
        if (id_of(item)) == id then
            return 3, 0, 1, item
        end
    end
    return 3, 0, 1, ''
end

local function place_claimed()
    local len = string.byte(st, last + 3) or 0
    local stored = call('HGET', prefix .. string.sub(st, last + 4, last + 3 + len), id)
    if not stored then
        return 4, 0, 1, ''
    end
    local _, item = split(stored)
    return 4, 0, 1, item
end

count_workers()
local place, ahead, exact, item
local state = string.byte(st, 2)
if state == QUEUED then
    place, ahead, exact, item = place_queued(math.min(string.byte(st, 20), 3) + 1)
elseif state == RUNNING then
    place, ahead, exact, item = place_claimed()
else
    place, ahead, exact, item = place_delayed()
end
local meta = call('HMGET', META, 'paused', 'limits', 'claimed', 'mark_at', 'mark_claimed', 'before_at', 'before_claimed')
local _, bare = id_of(item)
local key = key_of(bare, SCAN_STEPS) or ''
local key_held, key_full = 0, '0'
if key ~= '' then
    key_held, key_full = call('SCARD', SLOTS .. ':' .. key), call('ZSCORE', RATES, key) or '0'
end
local from_at, from = tonumber(meta[6] or '0'), tonumber(meta[7] or '0')
local claims = from_at > 0 and (tonumber(meta[3] or '0') - from) or 0
return {st, NOW, meta[1] == '1' and 1 or 0, meta[2] or '', held, call('ZSCORE', RATES, '') or '0', alive, slots, busy,
    place, ahead, exact, bare, key, key_held, key_full, claims, from_at > 0 and NOW - from_at or 0}
