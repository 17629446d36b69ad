-- batch_open: a batch begins: the ids of its jobs, and what follows when all have ended. Opened
-- again under the same id it stays as it is.
-- KEYS  the batch, the jobs of it that have not ended
-- ARGV  how long it is kept, in ms; what follows (msgpack array or ''); priority digit; the jobs' ids
-- gives 1; 0: it was there
local CHUNK = 1000

if redis.call('EXISTS', KEYS[1]) == 1 then
    return 0
end
local clock = redis.call('TIME')
redis.call('HSET', KEYS[1], 'total', #ARGV - 3, 'created', clock[1] * 1000 + math.floor(clock[2] / 1000),
    'then', ARGV[2], 'priority', ARGV[3])
for i = 4, #ARGV, CHUNK do
    redis.call('SADD', KEYS[2], unpack(ARGV, i, math.min(i + CHUNK - 1, #ARGV)))
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return 1
