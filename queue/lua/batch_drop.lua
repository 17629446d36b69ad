-- batch_drop: jobs of a batch that were not taken after all do not belong to it.
-- KEYS  the batch, the jobs of it that have not ended
-- ARGV  their ids
-- gives how many jobs are left; -1: no such batch
if redis.call('EXISTS', KEYS[1]) == 0 then
    return -1
end
local dropped = redis.call('SREM', KEYS[2], unpack(ARGV))
if dropped > 0 then
    redis.call('HINCRBY', KEYS[1], 'total', -dropped)
end
return redis.call('SCARD', KEYS[2])
