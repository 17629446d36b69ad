-- batch_close: what follows the batch is enqueued; it is kept for a while, to be looked at.
-- KEYS  the batch
-- ARGV  how long, in ms
if redis.call('EXISTS', KEYS[1]) == 1 then
    redis.call('HSET', KEYS[1], 'closed', 1)
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return 1
