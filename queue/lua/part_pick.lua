-- What a claim takes of a queue that has limits: by priority, parked jobs whose key's gate is open,
-- then those of the ready list; what has no turn is parked on the way.
local PAGE = 64
local pick = {known = {}, keys = {}, open = {}, left = 0, parked = 0, steps = STEPS_MAX}

-- The job's key, or nil; what it takes to read it is counted.
function pick.key_of(item)
    local _, bare = id_of(item)
    local allowed = math.min(SCAN_STEPS, pick.steps)
    local key, left = key_of(bare, allowed)
    pick.steps = pick.steps - (allowed - left)
    return key
end

function pick.budget(key)
    local b = pick.known[key]
    if not b then
        b = budget(pick.each, key, held_by_key, key)
        b.gated = call('ZSCORE', GATES, key) and true
        pick.known[key] = b
        table.insert(pick.keys, key)
    end
    return b
end

function pick.one(item, p, key, b)
    pick.take(item, p, key)
    pick.left = pick.left - 1
    if b then
        b.taken = b.taken + 1
    end
end

function pick.unpark(p, key)
    local b = pick.budget(key)
    local want = math.min(left_of(b), pick.left)
    if want <= 0 then
        return
    end
    local got = call('RPOP', parked_list(p, key), want) or {}
    for _, item in ipairs(got) do
        pick.one(item, p, key, b)
    end
    if #got > 0 then
        call('HINCRBY', PARKED, p - 1, -#got)
    end
    if #got < want then
        b.emptied = p -- and all lists of a higher priority
    end
end

-- The gate first: nothing may be parked without one.
function pick.park(p, aside, keys)
    for _, key in ipairs(keys) do
        call('ZADD', GATES, opens(pick.known[key]), key)
        call('LPUSH', parked_list(p, key), unpack(aside[key]))
        call('HINCRBY', PARKED, p - 1, #aside[key])
    end
end

function pick.is_cut()
    return pick.parked >= PARK_MAX or pick.steps <= 0
end

-- Gives how many of the page are dealt with.
function pick.page(p, page)
    local aside, keys, used = {}, {}, 0
    for i = #page, 1, -1 do
        if pick.left == 0 or pick.is_cut() then
            break
        end
        local item = page[i]
        local key = pick.is_keyed and pick.key_of(item)
        local b = key and pick.budget(key)
        used = used + 1
        if not b or (left_of(b) > 0 and (not b.gated or b.emptied == p)) then
            pick.one(item, p, key, b)
        else
            if not aside[key] then
                aside[key] = {}
                table.insert(keys, key)
            end
            table.insert(aside[key], item)
            b.gated = true
            pick.parked = pick.parked + 1
        end
    end
    pick.park(p, aside, keys)
    return used
end

function pick.ready(p)
    local size = math.min(math.max(pick.left, 8), PAGE)
    while pick.left > 0 and not pick.is_cut() do
        local page = call('LRANGE', READY[p], -size, -1)
        local used = pick.page(p, page)
        if used > 0 then
            call('LTRIM', READY[p], 0, -used - 1)
        end
        if #page < size then
            break
        end
        size = PAGE
    end
end

-- take(item, p, key) is called for each.
function pick.jobs(limits, n, prefix, take)
    pick.whole, pick.each = read_limits(limits)
    pick.is_keyed = pick.each.running or pick.each.rate
    pick.take = take
    pick.own = budget(pick.whole, '', held_by_all, prefix)
    pick.left = math.max(0, math.min(n, pick.own.may))
    local before = pick.left
    for _, key in ipairs(call('ZRANGEBYSCORE', GATES, '-inf', NOW, 'LIMIT', 0, GATES_MAX + 1)) do
        if key ~= '' then
            table.insert(pick.open, key)
        end
    end
    for p = 1, 4 do
        for _, key in ipairs(pick.open) do
            pick.unpark(p, key)
        end
        pick.ready(p)
    end
    pick.own.taken = before - pick.left
end

-- Writes down who has a slot: ids and keys of claims.
function pick.hold(ids, keys)
    local pairs_of, order, members = {}, {}, {}
    if not pick.each.running then
        return
    end
    for i, id in ipairs(ids) do
        local key = keys[i]
        if key then
            pairs_of[#pairs_of + 1] = id
            pairs_of[#pairs_of + 1] = key
            if not members[key] then
                members[key] = {}
                order[#order + 1] = key
            end
            table.insert(members[key], id)
        end
    end
    if #order > 0 then
        call('HSET', SLOTS, unpack(pairs_of))
    end
    for _, key in ipairs(order) do
        call('SADD', SLOTS .. ':' .. key, unpack(members[key]))
    end
end

-- Gates after a claim. Gives whether another claim would find something.
function pick.set_gates()
    local more = pick.is_cut() or (pick.left == 0 and any_ready())
    for _, key in ipairs(pick.keys) do
        spend(pick.known[key], key)
    end
    spend(pick.own, '')
    for _, key in ipairs(pick.open) do
        local b = pick.budget(key)
        if not has_parked(key) then
            call('ZREM', GATES, key)
        elseif left_of(b) <= 0 or b.taken > 0 then
            call('ZADD', GATES, opens(b), key)
        end
    end
    if left_of(pick.own) <= 0 and (any_ready() or call('EXISTS', GATES) == 1) then
        call('ZADD', GATES, opens(pick.own), '')
        return false
    end
    call('ZREM', GATES, '')
    if call('EXISTS', GATES) == 0 then
        call('DEL', PARKED)
        if not (pick.is_keyed or pick.whole.running or pick.whole.rate) then
            call('HDEL', META, 'limits') -- the last of what was parked under limits that are no more
        end
    end
    return more or any_open()
end
