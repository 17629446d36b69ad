-- Limits per queue and per key: what is held, and what waits for its turn. The empty key is the
-- queue itself. A claim of a job whose key is limited is written down (slots: id -> key, and the
-- set slots:<key> of ids, whose size is the count); a job whose key has no turn is parked
-- (parked:<digit>:<key>), and its key has a gate: when it may be tried again.
local BASE = string.sub(META, 1, -5)
local SLOTS, GATES, RATES, PARKED = BASE .. 'slots', BASE .. 'gates', BASE .. 'rates', BASE .. 'parked'
local SHUT = 2 ^ 53 -- the time of a gate that only a freed slot opens

-- Claims that end free the slots of their keys; who waits for one may be tried.
local function free_slots(ids)
    if #ids == 0 or call('EXISTS', SLOTS, GATES) == 0 then
        return
    end
    local held, gone, gates, open = call('HMGET', SLOTS, unpack(ids)), {}, {''}, {}
    for i, key in ipairs(held) do
        if key then
            if not gone[key] then
                gone[key] = {}
                gates[#gates + 1] = key
            end
            table.insert(gone[key], ids[i])
        end
    end
    for i = 2, #gates do
        call('SREM', SLOTS .. ':' .. gates[i], unpack(gone[gates[i]]))
    end
    if #gates > 1 then
        call('HDEL', SLOTS, unpack(ids))
    end
    for i, time in ipairs(call('ZMSCORE', GATES, unpack(gates))) do
        if time and tonumber(time) >= SHUT then
            open[#open + 1] = NOW
            open[#open + 1] = gates[i]
        end
    end
    if #open > 0 then
        call('ZADD', GATES, 'XX', unpack(open))
        leave_token()
    end
end
