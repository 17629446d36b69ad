-- progress: how far running jobs are.
-- ARGV  consumer, then for each job: id, attempt (4 bytes), one byte 0..100, note (msgpack str)
-- gives how many were ours
local ids, fresh = {}, {}
for i = 2, #ARGV, 4 do
    ids[#ids + 1] = ARGV[i]
end
local states = call('HMGET', STATE, unpack(ids))
for i, id in ipairs(ids) do
    local arg, st = 4 * i - 2, states[i]
    local last = is_ours(st, ARGV[arg + 1])
    if last then
        fresh[#fresh + 1] = id
        fresh[#fresh + 1] = string.sub(st, 1, last) .. '\147' .. NAME_MP .. ARGV[arg + 2] .. ARGV[arg + 3]
    end
end
if #fresh > 0 then
    call('HSET', STATE, unpack(fresh))
    changed(ids)
end
return #fresh / 2
