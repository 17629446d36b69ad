-- schedule_get: one schedule. Reads only.
-- ARGV  name
-- gives {now, then if there is one: record, job, next tick or '', past or ''}
local record = call('HGET', RECORDS, ARGV[1])
if not record then
    return {NOW}
end
return {NOW, record, call('HGET', JOBS, ARGV[1]) or '', tick_of(ARGV[1]), call('HGET', PAST, ARGV[1]) or ''}
