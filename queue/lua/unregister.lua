-- unregister: a consumer ends of its own will; what it still holds goes back, excused.
-- ARGV  consumer, how many jobs may be given back
-- gives {whether some are left (call again), jobs given back}
local n, left = bury_consumer(ARGV[1], ACTIVE, tonumber(ARGV[2]), true)
if n > 0 then
    call('HINCRBY', META, 'released', n)
    leave_token()
end
return {left and 1 or 0, n}
