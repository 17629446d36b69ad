-- list: one page of the live jobs of a queue in one state. Reads only.
-- ARGV  state, how many to skip, how many to give, prefix of active keys
-- gives {whether more follow, then for each job: id (or ''), state value (or ''), priority, item}
local want, skip_n, limit, prefix = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local GATES_MAX = 1000
local BYTES_MAX, SCAN_MAX, CHUNK, CONSUMERS_MAX = 8 * 1024 * 1024, 5000, 250, 1000
local reply, bytes, count = {0}, 0, 0

-- Gives false when the page is full.
local function add(id, st, p, item)
    if count >= limit or bytes > BYTES_MAX then
        reply[1] = 1
        return false
    end
    local r = #reply
    reply[r + 1], reply[r + 2], reply[r + 3], reply[r + 4] = id or '', st or '', p - 1, item
    count, bytes = count + 1, bytes + #item
    return true
end

local function list_waiting(p, list)
    local len = call('LLEN', list)
    if skip_n >= len then
        skip_n = skip_n - len
        return true
    end
    local last = len - 1 - skip_n
    local first = math.max(0, last - limit)
    local page = call('LRANGE', list, first, last)
    skip_n = 0
    for i = #page, 1, -1 do
        local id, bare = id_of(page[i])
        local st = id and call('HGET', STATE, id)
        if not add(id, st, p, bare) then
            return false
        end
    end
    return true
end

-- Scheduled jobs and retries share the set, so that skipping means looking.
local function list_delayed()
    for from = 0, SCAN_MAX - 1, CHUNK do
        local page = call('ZRANGE', DELAYED, from, from + CHUNK - 1)
        for _, stored in ipairs(page) do
            local p, item = split(stored)
            local id, bare = id_of(item)
            local st = id and call('HGET', STATE, id)
            local state = type_end(st) and string.byte(st, 2) or SCHEDULED
            if state == want and skip_n > 0 then
                skip_n = skip_n - 1
            elseif state == want and not add(id, st, p, bare) then
                return
            end
        end
        if #page < CHUNK then
            return
        end
    end
    reply[1] = 1
end

local function list_active(active)
    local len = call('HLEN', active)
    if skip_n >= len then
        skip_n = skip_n - len
        return true
    end
    for _, id in ipairs(call('HKEYS', active)) do
        if skip_n > 0 then
            skip_n = skip_n - 1
        else
            local p, item = split(call('HGET', active, id))
            local _, bare = id_of(item)
            if not add(id, call('HGET', STATE, id), p, bare) then
                return false
            end
        end
    end
    return true
end

-- Jobs that wait for their key's turn, key by key.
local function list_parked()
    for _, key in ipairs(call('ZRANGE', GATES, 0, GATES_MAX - 1)) do
        for p = 1, 4 do
            if not list_waiting(p, PARKED .. ':' .. (p - 1) .. ':' .. key) then
                return
            end
        end
    end
end

local function list_queued()
    for p = 1, 4 do
        if not list_waiting(p, READY[p]) then
            return
        end
    end
    list_parked()
end

if want == QUEUED then
    list_queued()
elseif want == RUNNING then
    for _, name in ipairs(call('ZRANGE', CONSUMERS, 0, CONSUMERS_MAX - 1)) do
        if not list_active(prefix .. name) then
            break
        end
    end
else
    list_delayed()
end
return reply
