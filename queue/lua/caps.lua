-- caps: how much may wait in a queue.
-- ARGV  for each cap that changes: its field of meta, its value ('': no cap any more)
for i = 1, #ARGV, 2 do
    if ARGV[i + 1] == '' then
        call('HDEL', META, ARGV[i])
    else
        call('HSET', META, ARGV[i], ARGV[i + 1])
    end
end
return 1
