-- pause: stops claims of a queue, or lets them go on.
-- ARGV  "1" or "0"
if ARGV[1] == '1' then
    call('HSET', META, 'paused', '1')
else
    call('HDEL', META, 'paused')
    if any_waiting() then
        leave_token()
    end
end
return 1
