-- How much waits in a queue, for its caps (fields cap_* of meta). What is measured cannot drift: it
-- is looked up, in constant time, and counts what other programs push as well.
local MEMORY_SAMPLES = 100
local PARKED_JOBS = string.sub(META, 1, -5) .. 'parked' -- priority digit -> how many wait for their key's turn

local function in_keys()
    return call('LLEN', READY[1]) + call('LLEN', READY[2]) + call('LLEN', READY[3])
        + call('LLEN', READY[4]) + call('ZCARD', DELAYED)
end

local function waiting_jobs()
    local n = in_keys()
    for _, parked in ipairs(call('HVALS', PARKED_JOBS)) do
        n = n + math.max(0, tonumber(parked) or 0)
    end
    return n
end

-- Memory of the jobs that wait, as Redis estimates it from a sample of each key; parked ones count as
-- much as the others.
local function waiting_bytes()
    local bytes, n = call('MEMORY', 'USAGE', DELAYED, 'SAMPLES', MEMORY_SAMPLES) or 0, in_keys()
    for p = 1, 4 do
        bytes = bytes + (call('MEMORY', 'USAGE', READY[p], 'SAMPLES', MEMORY_SAMPLES) or 0)
    end
    return n > 0 and math.floor(bytes * waiting_jobs() / n) or bytes
end

-- For how long the one that is claimed next has been ready, of the priority where that is longest.
local function oldest_ms()
    local oldest = NOW
    for p = 1, 4 do
        local item = call('LINDEX', READY[p], -1)
        local id = item and id_of(item)
        if id then
            local st = call('HGET', STATE, id)
            local since
            if type_end(st) then
                since = struct.unpack('>I8', st, 4)
            elseif string.byte(id, 7) >= 0x70 and string.byte(id, 7) <= 0x7f then
                local high, low = struct.unpack('>I2I4', id)
                since = high * 2 ^ 32 + low
            end
            oldest = math.min(oldest, since or NOW)
        end
    end
    return NOW - oldest
end
