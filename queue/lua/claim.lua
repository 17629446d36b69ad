-- claim: takes up to n jobs for one consumer, the highest priority first, oldest first.
-- ARGV  consumer, n, prefix of active keys
-- gives {0}: not registered (any more); or {1, now, whether more are ready, next due or 0,
--       then for each job: id, attempt, excused, priority (16 more: it was cancelled and is only
--       to be recorded), item}
local name, limit, prefix = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local CLAIMED = 0x93 -- how the detail of a job begins that somebody has claimed
local sub, byte = string.sub, string.byte

local beat = call('ZSCORE', CONSUMERS, name)
if not beat or beat == '0' then
    return {0}
end
local flags = call('HMGET', META, 'paused', 'limits')
local limits = flags[2]
if flags[1] == '1' then
    return {1, NOW, 0, 0}
end
promote()

local items, ids, stored, level, key_of_claim, n, left = {}, {}, {}, {}, {}, 0, limit

local function take(item, p, key)
    local id, bare = id_of(item)
    if not id then
        local hex = redis.sha1hex(name .. ':' .. clock[1] .. ':' .. clock[2] .. ':' .. n .. ':' .. item)
        local h = function(at, len)
            return tonumber(sub(hex, at, at + len - 1), 16)
        end
        id = struct.pack('>I6I2BI3I4', NOW, 0x7000 + h(1, 3), 0x80 + h(4, 2) % 64, h(6, 6), h(12, 8))
        item = string.char(CARRIED) .. id .. item
    end
    n = n + 1
    items[n], ids[n], stored[n], level[n] = bare, id, (p - 1) .. item, p - 1
    key_of_claim[n] = key or false
end

if limits then
    pick.jobs(limits, limit, prefix, take)
    left = pick.left
else
    for p = 1, 4 do
        local got = call('RPOP', READY[p], left)
        if got then
            for i = 1, #got do
                take(got[i], p)
            end
            left = left - #got
            if left == 0 then
                break
            end
        end
    end
end

local reply = {1, NOW, 0, 0}
if n > 0 then
    local states = call('HMGET', STATE, unpack(ids))
    local mine = '\147\217' .. string.char(#name) .. name .. '\0\217\0'
    local head = '\151\3' .. NOW_MP .. '\206'
    local seen, active, fresh, at, r = {}, {}, {}, 0, 4
    local taken, keys = {}, {}
    for i = 1, n do
        local id, st = ids[i], states[i]
        local last = type_end(st)
        local copy = seen[id]
        if last and byte(st, last + 1) == CLAIMED and not copy then
            -- A second copy of a job that somebody runs: one id is one job, so it is dropped.
            local len = byte(st, last + 3) or 0
            copy = call('HEXISTS', prefix .. sub(st, last + 4, last + 3 + len), id) == 1
        end
        if not copy then
            local attempt, tag, excused = 1, 0, 0
            seen[id] = true
            at = at + 2
            active[at - 1], active[at], fresh[at - 1] = id, stored[i], id
            if limits then
                taken[at / 2], keys[at / 2] = id, key_of_claim[i]
            end
            if last and byte(st, 2) == CANCELLED then
                attempt, tag, excused = struct.unpack('>I4BI2', st, 13)
                attempt, excused, level[i] = attempt + 1, math.min(excused + 1, 65535), byte(st, 20) + 16
                fresh[at] = sub(st, 1, 11) .. struct.pack('>BI4BI2', 0xce, attempt, 0xcd, excused)
                    .. sub(st, 20, last) .. mine
            elseif last then
                attempt, tag, excused = struct.unpack('>I4BI2', st, 13)
                attempt = attempt + 1
                fresh[at] = head .. struct.pack('>I4', attempt) .. sub(st, 17, last) .. mine
            else
                fresh[at] = head .. '\0\0\0\1\205\0\0' .. string.char(level[i]) .. type_of(items[i]) .. mine
            end
            reply[r + 1], reply[r + 2], reply[r + 3] = id, attempt, excused
            reply[r + 4], reply[r + 5] = level[i], items[i]
            r = r + 5
        end
    end
    if limits then
        pick.hold(taken, keys)
    end
    if at > 0 then
        call('HSET', ACTIVE, unpack(active))
        call('HSET', STATE, unpack(fresh))
        call('HINCRBY', META, 'claimed', at / 2)
        changed(ids)
    end
end

local more
if limits then
    more = pick.set_gates()
else
    more = left == 0 and any_ready()
end
if more then
    leave_token()
    reply[3] = 1
    return reply
end
if left > 0 or limits then
    call('DEL', WAKE) -- it would wake somebody for nothing
end
reply[4] = next_due()
if limits then
    reply[4] = sooner(reply[4], next_gate())
end
return reply
