-- reconcile: after a cut connection. What Redis thinks the consumer holds and it does not (the
-- reply to a claim was lost) goes back, excused.
-- ARGV  consumer, how many jobs may be given back, the ids that it holds
-- gives {0, 0, 0}: not registered; or {1, whether some are left (call again), jobs given back}
local name, limit = ARGV[1], tonumber(ARGV[2])
local beat = call('ZSCORE', CONSUMERS, name)
if not beat or beat == '0' then
    return {0, 0, 0}
end
local held, lost, left = {}, {}, 0
for i = 3, #ARGV do
    held[ARGV[i]] = true
end
for _, id in ipairs(call('HKEYS', ACTIVE)) do
    if not held[id] then
        if #lost < limit then
            lost[#lost + 1] = id
        else
            left = 1
        end
    end
end
if #lost > 0 then
    give_back(ACTIVE, lost, call('HMGET', ACTIVE, unpack(lost)), true)
    call('HINCRBY', META, 'released', #lost)
    leave_token()
end
return {1, left, #lost}
