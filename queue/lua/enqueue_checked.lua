-- enqueue_checked: takes jobs of one queue, each judged by itself: has it been taken before, is its
-- unique key free, is there room. Beside enqueue, which asks nothing and costs less.
-- ARGV  "1": the queue's caps hold; "1": leave alone whose id is live already; then for each job:
--       id, state value from the attempt on, priority digit, due ("0": now), item,
--       unique key ('': none), its window in ms ("0": while the job lives), reject, keep or replace,
--       for how many ms its verdict is remembered by its id ("0": not), what it must match then
-- gives for each job: code, id, and for code 4 what it has, what it may have, how many jobs wait;
--       codes: 0 taken; 1 the key's holder (id) stays instead; 2 it took the holder's place and id;
--       3 refused: the key is held by id; 4 refused: a cap, by its name in place of the id;
--       5 refused: that id was used for something else; +16: this was so already
local TAKEN, KEPT, REPLACED, HELD, FULL, OTHER, AGAIN = 0, 1, 2, 3, 4, 5, 16
local FIRST, ARGS, TIES = 3, 10, 100
local IN_BATCH = '\165batch\196\16' -- as an envelope says that others wait for its end
local CAPS = {'jobs', 'bytes', 'age_ms'}
local skip_known = ARGV[2] == '1'
local ONCE = BASE .. 'once:'

-- --- what is there already ----------------------------------------------------------------------

-- Who holds the key; nil: nobody. A holder that lives no more holds nothing, however it ended.
local function holder_of(key)
    local holder = call('GET', UNIQUE .. key)
    if not holder then
        return nil
    end
    if call('HGET', HOLDS, holder) == key and call('HEXISTS', STATE, holder) == 0 then
        release_keys({holder})
        return nil
    end
    return holder
end

-- What delayed holds of a job that has not been claimed yet; nil: it is ready, runs, or has run, or
-- it belongs to a batch, which would wait for it.
local function scheduled_member(id)
    local st = call('HGET', STATE, id)
    local last = type_end(st)
    if not last or string.byte(st, 2) ~= SCHEDULED or #st < last + 10 then
        return nil
    end
    local due = string.format('%.0f', struct.unpack('>I8', st, last + 3))
    for _, member in ipairs(call('ZRANGEBYSCORE', DELAYED, due, due, 'LIMIT', 0, TIES)) do
        local _, item = split(member)
        if id_of(item) == id then
            return not string.find(item, IN_BATCH, 1, true) and member or nil
        end
    end
    return nil
end

-- --- room ---------------------------------------------------------------------------------------

local caps, has = {false, false, false}, {0, 0, 0}
local function measure()
    caps = call('HMGET', META, 'cap_jobs', 'cap_bytes', 'cap_age_ms')
    has[1] = (caps[1] or caps[2] or caps[3]) and waiting_jobs() or 0
    has[2] = caps[2] and waiting_bytes() or 0
    has[3] = caps[3] and oldest_ms() or 0
end

-- Which cap a job of that many bytes would pass; nil: none.
local function passed(bytes)
    local adds = {1, bytes, 0}
    for i = 1, 3 do
        if caps[i] and has[i] + adds[i] > tonumber(caps[i]) then
            return i
        end
    end
    return nil
end

-- --- taking -------------------------------------------------------------------------------------

local states, later, lists, seen, taken, any_now = {}, {}, {{}, {}, {}, {}}, {}, 0, false

local function flush()
    if #states > 0 then
        call('HSET', STATE, unpack(states))
    end
    push('LPUSH', lists)
    if #later > 0 then
        call('ZADD', DELAYED, unpack(later))
    end
    states, later, lists = {}, {}, {{}, {}, {}, {}}
end

local function put(id, at, item)
    local p, due = tonumber(ARGV[at + 2]), ARGV[at + 3]
    local n, head = #states, due == '0' and '\151\1' or '\151\2'
    states[n + 1], states[n + 2] = id, head .. NOW_MP .. ARGV[at + 1]
    if due == '0' then
        lists[p + 1][#lists[p + 1] + 1] = item
        any_now = true
    else
        later[#later + 1] = due
        later[#later + 1] = p .. item
    end
    seen[id] = true
end

local function hold(key, id, window)
    if window ~= '0' then
        call('SET', UNIQUE .. key, id, 'PX', window)
    else
        call('SET', UNIQUE .. key, id)
        call('HSET', HOLDS, id, key)
    end
end

-- The holder goes on under its own id, with all else of the new job.
local function replace(holder, member, at)
    local item = ARGV[at + 4]
    release_keys({holder})
    call('ZREM', DELAYED, member)
    put(holder, at, string.sub(item, 1, 9) .. holder .. string.sub(item, 26))
    hold(ARGV[at + 5], holder, ARGV[at + 6])
    flush()
    changed({holder})
end

-- Gives code, id and, where a cap is passed, which.
local function judge(at)
    local id, key, policy = ARGV[at], ARGV[at + 5], ARGV[at + 7]
    local holder = key ~= '' and holder_of(key) or nil
    if holder and policy == 'keep' then
        return KEPT, holder
    elseif holder then
        local member = policy == 'replace' and scheduled_member(holder)
        if not member then
            return HELD, holder
        end
        replace(holder, member, at)
        return REPLACED, holder
    end
    local cap = passed(#ARGV[at + 4])
    if cap then
        return FULL, CAPS[cap], cap
    end
    put(id, at, ARGV[at + 4])
    taken, has[1], has[2] = taken + 1, has[1] + 1, has[2] + #ARGV[at + 4]
    if key ~= '' then
        flush() -- whoever holds a key is found in the keys
        hold(key, id, ARGV[at + 6])
    end
    return TAKEN, id
end

local function judge_once(at)
    local id, keep_ms, check = ARGV[at], ARGV[at + 8], ARGV[at + 9]
    if skip_known and (seen[id] or call('HEXISTS', STATE, id) == 1) then
        return TAKEN + AGAIN, id
    end
    if keep_ms == '0' then
        return judge(at)
    end
    local before = call('GET', ONCE .. id)
    if before and string.sub(before, 18) ~= check then
        return OTHER, id
    elseif before then
        return string.byte(before, 1) - 48 + AGAIN, string.sub(before, 2, 17)
    end
    local code, who, cap = judge(at)
    if code <= REPLACED then
        call('SET', ONCE .. id, code .. who .. check, 'PX', keep_ms)
    end
    return code, who, cap
end

-- --- all of them --------------------------------------------------------------------------------

if ARGV[1] == '1' then
    measure()
end
local before, reply = next_due(), {}
for at = FIRST, #ARGV, ARGS do
    local code, who, cap = judge_once(at)
    local r = #reply
    reply[r + 1], reply[r + 2] = code, who
    reply[r + 3], reply[r + 4], reply[r + 5] = cap and has[cap] or 0, cap and tonumber(caps[cap]) or 0, has[1]
end
flush()
if taken > 0 then
    call('HINCRBY', META, 'enqueued', taken)
end
if any_now or next_due() ~= before then
    leave_token()
end
return reply
