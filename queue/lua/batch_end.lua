-- batch_end: a job of a batch has ended. Told twice it counts once.
-- KEYS  the batch, the jobs of it that have not ended
-- ARGV  the job's id; how it ended: succeeded, dead, cancelled or expired
-- gives nothing when there is no such batch (any more); or {jobs left, total, created, succeeded,
--       dead, cancelled, expired, whether what follows was enqueued, what follows, priority}
local found = redis.call('HMGET', KEYS[1], 'total', 'created', 'then', 'closed', 'priority')

if not found[1] then
    return {}
end
if redis.call('SREM', KEYS[2], ARGV[1]) == 1 then
    redis.call('HINCRBY', KEYS[1], ARGV[2], 1)
end
local ends = redis.call('HMGET', KEYS[1], 'succeeded', 'dead', 'cancelled', 'expired')
return {redis.call('SCARD', KEYS[2]), tonumber(found[1]), tonumber(found[2]), tonumber(ends[1] or 0),
    tonumber(ends[2] or 0), tonumber(ends[3] or 0), tonumber(ends[4] or 0), found[4] and 1 or 0, found[3],
    tonumber(found[5])}
