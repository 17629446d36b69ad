-- register: a consumer begins. What earlier boots of the same host:instance held goes back at
-- once; that they died with it counts as an attempt.
-- ARGV  consumer, "host:instance:", who it is (msgpack map, its last pair still missing: the time),
--       prefix of active keys, how many jobs may be given back
-- gives {whether some are left (call again), jobs given back}
local name, identity, budget = ARGV[1], ARGV[2], tonumber(ARGV[5])
local back, more = 0, 0

for _, other in ipairs(call('ZRANGE', CONSUMERS, 0, 9999)) do
    if other ~= name and string.sub(other, 1, #identity) == identity then
        local n, left = 0, true
        if budget > back then
            n, left = bury_consumer(other, ARGV[4] .. other, budget - back, false)
        end
        back = back + n
        if left then
            more = 1
        end
    end
end
if back > 0 then
    call('HINCRBY', META, 'reaped', back)
    leave_token()
end
call('ZADD', CONSUMERS, NOW, name)
call('HSET', WORKERS, name, ARGV[3] .. NOW_MP)
return {more, back}
