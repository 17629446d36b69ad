-- limits: how many jobs of a queue may run at once, and begin in a time; all, and by key. Whoever
-- waits is tried anew.
-- ARGV  eight numbers (docs/protocol.md), or '' for no limits
-- gives {whether some gates are still to be opened (call again)}
local CHUNK = 1000
local none = '0 0 0 0 0 0 0 0'
local text = ARGV[1]

if text == '' and call('EXISTS', GATES) == 1 then
    text = none -- until what is parked is gone
end
if (call('HGET', META, 'limits') or '') ~= text then
    call('DEL', RATES)
end
if text == '' then
    call('HDEL', META, 'limits')
else
    call('HSET', META, 'limits', text)
end
local shut, open = call('ZRANGEBYSCORE', GATES, '(' .. NOW, '+inf', 'LIMIT', 0, CHUNK), {}
for _, key in ipairs(shut) do
    open[#open + 1] = NOW
    open[#open + 1] = key
end
if #open > 0 then
    call('ZADD', GATES, 'XX', unpack(open))
end
if any_waiting() then
    leave_token()
end
return {#shut == CHUNK and 1 or 0}
