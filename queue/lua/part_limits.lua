-- Limits at the claim. A rate is a bucket of `burst` tokens that fills at count / per_ms; what is
-- kept of it is the time at which it will be full again (GCRA), in us. A key that is at its limit does not
-- hold up others: its jobs are parked in their order, by priority, and come first when its gate opens.
local GATES_MAX = 16 -- open gates looked at in one call
local PARK_MAX = 256 -- jobs parked in one call
local STEPS_MAX = 50000 -- values read in one call in search of keys
local WORTH_US = 10000 -- a fast rate's gate opens for as many tokens as this brings
local NOW_US = clock[1] * 1000000 + clock[2]

local function read_rate(count, per_ms, burst)
    if count == 0 then
        return nil
    end
    local gap = per_ms * 1000 / count
    return {gap = gap, burst = burst, depth = burst * gap}
end

-- The limits of the whole queue and those of each key, from eight numbers (docs/protocol.md).
local function read_limits(text)
    local n = {}
    for word in string.gmatch(text, '%d+') do
        n[#n + 1] = tonumber(word)
    end
    for i = #n + 1, 8 do
        n[i] = 0
    end
    return {running = n[1] > 0 and n[1] or nil, rate = read_rate(n[2], n[3], n[4])},
        {running = n[5] > 0 and n[5] or nil, rate = read_rate(n[6], n[7], n[8])}
end

local function held_by_all(prefix)
    local CONSUMERS_MAX, sum = 1000, 0
    for _, name in ipairs(call('ZRANGE', CONSUMERS, 0, CONSUMERS_MAX - 1)) do
        sum = sum + call('HLEN', prefix .. name)
    end
    return sum
end

local function held_by_key(key)
    return call('SCARD', SLOTS .. ':' .. key)
end

-- How many more may begin under this limit; held(of) counts those that run.
local function budget(limit, key, held, of)
    local b = {limit = limit, may = math.huge, taken = 0}
    if limit.running then
        b.held = held(of)
        b.may = limit.running - b.held
    end
    if limit.rate then
        b.full = math.max(tonumber(call('ZSCORE', RATES, key) or '0'), NOW_US)
        b.may = math.min(b.may, math.floor((limit.rate.depth - (b.full - NOW_US)) / limit.rate.gap + 1e-6))
    end
    return b
end

local function left_of(b)
    return b.may - b.taken
end

-- When its gate opens: now, at a time, or when a slot is freed.
local function opens(b)
    local rate = b.limit.rate
    if left_of(b) > 0 then
        return NOW
    elseif b.held and b.held + b.taken >= b.limit.running then
        return SHUT
    end
    local worth = math.max(1, math.min(rate.burst, math.ceil(WORTH_US / rate.gap)))
    local at = b.full + (b.taken + worth) * rate.gap - rate.depth
    return math.max(NOW + 1, math.ceil(at / 1000))
end

local function spend(b, key)
    if b.limit.rate and b.taken > 0 then
        call('ZADD', RATES, b.full + b.taken * b.limit.rate.gap, key)
    end
end

local function parked_list(p, key)
    return PARKED .. ':' .. (p - 1) .. ':' .. key
end

local function has_parked(key)
    return call('EXISTS', parked_list(1, key), parked_list(2, key), parked_list(3, key), parked_list(4, key)) > 0
end

-- The first gate that opens by itself, Unix ms; 0: none. While the queue's own is shut only that counts.
local function next_gate()
    local own = tonumber(call('ZSCORE', GATES, '') or '0')
    if own > NOW then
        return own < SHUT and own or 0
    end
    local first = call('ZRANGEBYSCORE', GATES, '(' .. NOW, '(' .. string.format('%.0f', SHUT), 'WITHSCORES', 'LIMIT', 0, 1)
    return tonumber(first[2] or '0')
end

-- Whether a gate is open behind which jobs wait.
local function any_open()
    return #call('ZRANGEBYSCORE', GATES, '-inf', NOW, 'LIMIT', 0, 1) > 0
end

-- Whether a claim may find something, as far as gates tell.
local function may_find()
    return tonumber(call('ZSCORE', GATES, '') or '0') <= NOW and (any_ready() or any_open())
end

-- The earlier of two times of which 0 means never.
local function sooner(a, b)
    if a == 0 or b == 0 then
        return a + b
    end
    return math.min(a, b)
end
