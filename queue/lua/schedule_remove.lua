-- schedule_remove: a schedule is gone. Its jobs stay.
-- ARGV  name
-- gives how many there were
call('ZREM', TICKS, ARGV[1])
call('HDEL', JOBS, ARGV[1])
call('HDEL', PAST, ARGV[1])
return call('HDEL', RECORDS, ARGV[1])
