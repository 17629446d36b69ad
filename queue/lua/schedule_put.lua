-- schedule_put: a record created or replaced, if what is there is what the caller has seen.
-- ARGV  name; revision and next tick as they were ('': none); record; job; next tick or ''; how many
--       schedules the queue may have
-- gives 1; 0: something else is there; -1: too many
local name = ARGV[1]
if rev_of(name) ~= ARGV[2] or tick_of(name) ~= ARGV[3] then
    return 0
end
if ARGV[2] == '' then
    if call('HLEN', RECORDS) >= tonumber(ARGV[7]) then
        return -1
    end
    call('HDEL', PAST, name)
end
call('HSET', RECORDS, name, ARGV[4])
call('HSET', JOBS, name, ARGV[5])
set_tick(name, ARGV[6])
return 1
