-- Carries out calls of the moves, each from a given state of the queue's keys, and says what came of it.
-- In front of this stands `local moves = {...}`: the text of each script as a function(redis, KEYS, ARGV).
-- ARGV  the time in ms that all scripts see; lease in ms; then for each state: msgpack {state, calls},
--       a call being {script, KEYS, ARGV}
-- gives msgpack: for each state the list of {reply, state after}
-- A state is msgpack of {key, type, content} in the order of the keys; fields and members are in order too.
local NOW, LEASE = tonumber(ARGV[1]), tonumber(ARGV[2])
local TIMED = {[':consumers'] = LEASE, [':delayed'] = 0} -- scores that are times; so long after it, how long ago makes no difference

-- What a script gets for `redis`: the same, but with a clock that stands, and with counters that do not count,
-- so that states which differ in nothing but these are one.
local function stand_in(now)
    return {
        sha1hex = redis.sha1hex,
        call = function(command, key, ...)
            if command == 'TIME' then
                return {string.format('%d', math.floor(now / 1000)), string.format('%d', now % 1000 * 1000)}
            elseif command == 'HINCRBY' and string.sub(key, -5) == ':meta' then
                return 0
            end
            return redis.call(command, key, ...)
        end,
    }
end

local function wipe()
    for _, key in ipairs(redis.call('KEYS', '*')) do
        redis.call('DEL', key)
    end
end

local PUT = {hash = 'HSET', list = 'RPUSH', zset = 'ZADD', set = 'SADD', string = 'SET'}

local function restore(state)
    wipe()
    for _, entry in ipairs(cmsgpack.unpack(state)) do
        redis.call(PUT[entry[2]], entry[1], unpack(entry[3]))
    end
end

local function sorted_pairs(flat, swap)
    local at, keys, out = {}, {}, {}
    for i = 1, #flat, 2 do
        keys[#keys + 1] = flat[i]
        at[flat[i]] = flat[i + 1]
    end
    table.sort(keys)
    for _, key in ipairs(keys) do
        out[#out + 1] = swap and at[key] or key
        out[#out + 1] = swap and key or at[key]
    end
    return out
end

local function sorted(list)
    table.sort(list)
    return list
end

local GET = {
    hash = function(key) return sorted_pairs(redis.call('HGETALL', key), false) end,
    list = function(key) return redis.call('LRANGE', key, 0, -1) end,
    zset = function(key) return sorted_pairs(redis.call('ZRANGE', key, 0, -1, 'WITHSCORES'), true) end,
    set = function(key) return sorted(redis.call('SMEMBERS', key)) end,
    string = function(key) return {redis.call('GET', key)} end,
}

local function dump()
    local out = {}
    for _, key in ipairs(sorted(redis.call('KEYS', '*'))) do
        local kind = redis.call('TYPE', key).ok
        out[#out + 1] = {key, kind, GET[kind](key)}
    end
    return cmsgpack.pack(out)
end

-- Time goes on by `by` ms (or back): the clock stands, so everything else moves. A beat of 0 is a mark, no time.
local function shift(by)
    for _, key in ipairs(redis.call('KEYS', '*')) do
        local enough = TIMED[string.match(key, ':%l+$') or '']
        local flat = enough and redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') or {}
        for i = 1, #flat, 2 do
            local at = tonumber(flat[i + 1])
            if at > 0 then
                redis.call('ZADD', key, math.max(at - by, NOW - enough), flat[i])
            end
        end
    end
end

-- Everybody is gone for good; one consumer comes and does whatever there is. Gives the ids that it ended.
local function drain(keys, prefix)
    local name, now, ended = 'drain:0:1', NOW + 100 * LEASE, {}
    local KEYS_ALL = {unpack(keys)}
    KEYS_ALL[#KEYS_ALL + 1] = prefix .. name
    local function move(script, ...)
        return moves[script](stand_in(now), KEYS_ALL, {...})
    end
    move('pause', '0')
    for _ = 1, 10 do
        if move('reap', tostring(LEASE), '128', prefix)[1] == 0 then
            break
        end
    end
    move('register', name, 'drain:0:', '\129\161t', prefix, '128')
    for _ = 1, 10 do
        local got = move('claim', name, '64', prefix)
        if #got <= 4 then
            break
        end
        for i = 5, #got, 5 do
            if #move('settle', name, '1', got[i], struct.pack('>I4', got[i + 1])) == 0 then
                ended[#ended + 1] = got[i]
            end
        end
    end
    return ended
end

local function carry_out(call)
    if call[1] == '' then
        return redis.call(unpack(call[3]))
    elseif call[1] == '!shift' then
        return shift(tonumber(call[3][1]))
    elseif call[1] == '!drain' then
        return drain(call[2], call[3][1])
    end
    return moves[call[1]](stand_in(NOW), call[2], call[3])
end

local all = {}
for i = 3, #ARGV do
    local state, calls = unpack(cmsgpack.unpack(ARGV[i]))
    local results = {}
    for k, call in ipairs(calls) do
        restore(state)
        local ok, reply = pcall(carry_out, call)
        if not ok then
            reply = {err = type(reply) == 'table' and reply.err or tostring(reply)}
        end
        results[k] = {reply or false, dump()}
    end
    all[#all + 1] = results
end
wipe()
return cmsgpack.pack(all)
