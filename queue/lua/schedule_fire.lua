-- schedule_fire: ticks of one schedule become jobs, and the next tick takes their place, or nothing happens
-- because somebody else was first.
-- ARGV  name; revision of the record; the tick that was due, or '' to make jobs and leave the ticks alone;
--       the next tick or ''; how many ticks were missed; "1": none while its last job lives; the tick that
--       the last job stands for; then for each job: id, state value from the attempt on, priority digit, item
-- gives {1 or 0: not the record or the tick that was meant, jobs made, ticks passed over}
local name, due, missed, tick = ARGV[1], ARGV[3], tonumber(ARGV[5]), tonumber(ARGV[7])
local FIRST = 8
if rev_of(name) ~= ARGV[2] or (due ~= '' and tick_of(name) ~= due) then
    return {0, 0, 0}
end

-- An array of six: last job, when it was made, the tick it stands for, and how many were made, missed, passed over.
local past = call('HGET', PAST, name)
local last, made_ms, fired, lost, passed = string.rep('\0', 16), 0, 0, 0, 0
local last_tick = 0
if past and #past == 64 then
    last, made_ms = string.sub(past, 4, 19), struct.unpack('>I8', past, 21)
    last_tick, fired = struct.unpack('>I8', past, 30), struct.unpack('>I8', past, 39)
    lost, passed = struct.unpack('>I8', past, 48), struct.unpack('>I8', past, 57)
end

local n, skipped = (#ARGV - FIRST + 1) / 4, 0
if ARGV[6] == '1' and call('HEXISTS', STATE, last) == 1 then
    n, skipped = 0, n
end
for i = FIRST, FIRST + 4 * n - 1, 4 do
    call('HSET', STATE, ARGV[i], '\151\1' .. NOW_MP .. ARGV[i + 1])
    call('LPUSH', READY[tonumber(ARGV[i + 2]) + 1], ARGV[i + 3])
    last, made_ms, last_tick = ARGV[i], NOW, tick
end
if n > 0 then
    call('HINCRBY', META, 'enqueued', n)
    leave_token()
end
call('HSET', PAST, name, '\150\196\16' .. last .. struct.pack('>BI8BI8BI8BI8BI8', 0xcf, made_ms, 0xcf, last_tick,
    0xcf, fired + n, 0xcf, lost + missed, 0xcf, passed + skipped))
if due ~= '' then
    set_tick(name, ARGV[4])
end
return {1, n, skipped}
