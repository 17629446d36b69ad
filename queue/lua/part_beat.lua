-- A consumer lives. Gives what beat.lua says.
local function beat(name, identity, active)
    local last = call('ZSCORE', CONSUMERS, name)
    if last and last ~= '0' then
        call('ZADD', CONSUMERS, NOW, name)
        return {1, call('HLEN', active), unpack(call('SRANDMEMBER', cancels_of(active), 64))}
    end
    for _, other in ipairs(call('ZRANGE', CONSUMERS, 0, 9999)) do
        if other ~= name and string.sub(other, 1, #identity) == identity then
            return {2, 0}
        end
    end
    return {0, 0}
end
