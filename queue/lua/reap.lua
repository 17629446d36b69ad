-- reap: gives back the jobs of consumers that fell silent, moves due jobs to their ready lists,
-- and leaves a token where jobs wait and none is there (who took it may have died). Mends what is
-- written down for limits (part_tend.lua). A beat of whoever asks may go along, so that an idle worker sends one
-- command where it would send two; and it is told when a schedule has its next tick, so that it need not ask.
-- ARGV  lease in ms (0: nobody is reaped), how many jobs may be given back, prefix of active keys; with a beat: consumer, "host:instance:"
-- gives {whether it was cut short (call again), now, next due or 0, next tick or 0, what the beat says (beat.lua) or 0,
--       then for each consumer: its name, jobs given back}
local lease, budget, prefix = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local CONSUMERS_MAX, GATE_REST_MS = 16, 50
local reply, back = {0, NOW, 0, 0, 0}, 0

if ARGV[4] then
    reply[5] = beat(ARGV[4], ARGV[5], prefix .. ARGV[4]) -- before anybody is reaped, or it might be him
end

if lease > 0 then
    -- A beat from the future (the clock was set back) counts as one of now, or its sender's death would go unnoticed until then.
    for _, name in ipairs(call('ZRANGEBYSCORE', CONSUMERS, string.format('(%.0f', NOW), '+inf', 'LIMIT', 0, CONSUMERS_MAX)) do
        call('ZADD', CONSUMERS, 'XX', NOW, name)
    end
    local silent = call('ZRANGEBYSCORE', CONSUMERS, '-inf', NOW - lease, 'LIMIT', 0, CONSUMERS_MAX)
    if #silent == CONSUMERS_MAX then
        reply[1] = 1
    end
    for _, name in ipairs(silent) do
        if back >= budget then
            reply[1] = 1
            break
        end
        local n, left = bury_consumer(name, prefix .. name, budget - back, false)
        back = back + n
        if left then
            reply[1] = 1
        end
        reply[#reply + 1] = name
        reply[#reply + 1] = n
    end
    if back > 0 then
        call('HINCRBY', META, 'reaped', back)
    end
end
if promote() == PROMOTE_MAX then
    reply[1] = 1
end
local limited = tend(prefix)
mark_claims()
if not is_paused() and (limited and may_find() or not limited and any_ready()) then
    leave_token()
end
reply[3] = next_due()
reply[4] = next_tick()
if limited then
    -- Consumers have timers of their own for gates; this is for those that are full, or died.
    local gate = next_gate()
    reply[3] = sooner(reply[3], gate > 0 and math.max(gate, NOW + GATE_REST_MS) or 0)
end
return reply
