-- batch_look: what batch_end gives, without ending anything.
-- KEYS  the batch, the jobs of it that have not ended
local found = redis.call('HMGET', KEYS[1], 'total', 'created', 'succeeded', 'dead', 'cancelled', 'expired', 'closed',
    'then', 'priority')

if not found[1] then
    return {}
end
return {redis.call('SCARD', KEYS[2]), tonumber(found[1]), tonumber(found[2]), tonumber(found[3] or 0),
    tonumber(found[4] or 0), tonumber(found[5] or 0), tonumber(found[6] or 0), found[7] and 1 or 0, found[8],
    tonumber(found[9])}
