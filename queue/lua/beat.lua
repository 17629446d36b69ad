-- beat: a consumer lives. Also says how many claims Redis thinks it holds.
-- ARGV  consumer, "host:instance:"
-- gives {1, claims, ids of those that are to be cancelled (64 at most)}; {0, 0}: not registered any more; {2, 0}: because another of its name is
local name, identity = ARGV[1], ARGV[2]
local beat = call('ZSCORE', CONSUMERS, name)
if beat and beat ~= '0' then
    call('ZADD', CONSUMERS, NOW, name)
    return {1, call('HLEN', ACTIVE), unpack(call('SRANDMEMBER', cancels_of(ACTIVE), 64))}
end
for _, other in ipairs(call('ZRANGE', CONSUMERS, 0, 9999)) do
    if other ~= name and string.sub(other, 1, #identity) == identity then
        return {2, 0}
    end
end
return {0, 0}
