-- Jobs that are cancelled. What waits keeps its place and says so in its state (a tombstone): whoever
-- claims it only records it. What runs is named in a set beside the claims of its consumer, until the
-- claim ends.
local function cancels_of(active)
    return TAG .. 'cancels:' .. string.sub(active, #TAG + 8)
end

-- [i] is 1 where the i-th of these claims is to be cancelled; and whether any claim is.
local function wanted_cancels(active, ids)
    local key = cancels_of(active)
    if call('EXISTS', key) == 0 then
        return {}, false
    end
    return call('SMISMEMBER', key, unpack(ids)), true
end

-- These claims have ended.
local function forget_cancels(active, ids)
    call('SREM', cancels_of(active), unpack(ids))
end

-- The same state, cancelled now. What it was doing stays for the caller to put behind it.
local function cancelled(st)
    return '\151\7' .. NOW_MP .. string.sub(st, 12)
end
