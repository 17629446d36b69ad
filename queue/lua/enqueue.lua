-- enqueue: takes jobs of one queue. The hot one: no parts, nothing is built that ARGV holds already.
-- KEYS  state, meta, wake, delayed, then a ready list for each priority that occurs
-- ARGV  "1": leave alone whose id is live already; number of ready jobs; of delayed ones;
--       for each ready list how many;
--       id and state value from the attempt on, for each job, the ready ones first;
--       items of the ready ones, by list; due and priority digit with item of the delayed ones
-- gives how many were taken
local ready, delayed = tonumber(ARGV[2]), tonumber(ARGV[3])
local total, lists = ready + delayed, #KEYS - 4
local first = 4 + lists
local item = first + 2 * total
local clock = redis.call('TIME')
local since = '\207' .. struct.pack('>I8', clock[1] * 1000 + math.floor(clock[2] / 1000))
local head, skipped = '\151\1' .. since, 0

for i = first + 1, first + 2 * ready - 1, 2 do
    ARGV[i] = head .. ARGV[i]
end
head = '\151\2' .. since
for i = first + 2 * ready + 1, item - 1, 2 do
    ARGV[i] = head .. ARGV[i]
end

if ARGV[1] == '1' then
    -- Takes the known ones out of ARGV, then goes on as ever.
    local ids, seen = {}, {}
    for i = first, item - 1, 2 do
        ids[#ids + 1] = ARGV[i]
    end
    local known = redis.call('HMGET', KEYS[1], unpack(ids))
    local counts, states, items, later = {}, {}, {}, {}
    local k, left, at = 1, tonumber(ARGV[4]), item
    for k2 = 1, lists do
        counts[k2] = 0
    end
    for i = 1, total do
        local is_new = not known[i] and not seen[ids[i]]
        seen[ids[i]] = true
        if is_new then
            states[#states + 1] = ids[i]
            states[#states + 1] = ARGV[first + 2 * i - 1]
        end
        if i <= ready then
            while left == 0 do
                k = k + 1
                left = tonumber(ARGV[3 + k])
            end
            left = left - 1
            if is_new then
                counts[k] = counts[k] + 1
                items[#items + 1] = ARGV[at]
            end
            at = at + 1
        else
            if is_new then
                later[#later + 1] = ARGV[at]
                later[#later + 1] = ARGV[at + 1]
            end
            at = at + 2
        end
    end
    skipped = total - #states / 2
    total, ready, delayed = #states / 2, #items, #later / 2
    item = first + 2 * total
    for k2 = 1, lists do
        ARGV[3 + k2] = counts[k2]
    end
    for i = 1, #states do
        ARGV[first + i - 1] = states[i]
    end
    for i = 1, #items do
        ARGV[item + i - 1] = items[i]
    end
    for i = 1, #later do
        ARGV[item + ready + i - 1] = later[i]
    end
    if total == 0 then
        return 0
    end
end

redis.call('HSET', KEYS[1], unpack(ARGV, first, item - 1))
for k = 1, lists do
    local n = tonumber(ARGV[3 + k])
    if n > 0 then
        redis.call('LPUSH', KEYS[4 + k], unpack(ARGV, item, item + n - 1))
        item = item + n
    end
end
redis.call('HINCRBY', KEYS[2], 'enqueued', total)

local wake = ready > 0
if delayed > 0 then
    -- Who waits has a timer at the first due time; something earlier makes him look again.
    local before = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')[2]
    redis.call('ZADD', KEYS[4], unpack(ARGV, item, item + 2 * delayed - 1))
    wake = wake or redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')[2] ~= before
end
if wake and redis.call('LLEN', KEYS[3]) == 0 then
    redis.call('LPUSH', KEYS[3], '1')
end
return total
