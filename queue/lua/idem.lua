-- idem: what came of the request that had this Idempotency-Key. The value is the request's
-- fingerprint (32 bytes), the id of its job or batch (16), when it was begun (8), the status of its
-- answer (2; 0: none yet), the answer's body.
-- KEYS  the one key
-- ARGV  what to do, fingerprint, id, then
--       begin: for how many ms it is kept, after how many an unanswered one may be taken over
--       done: status, body
--       open, drop: when it was begun, as begin has told: it is let go, with its id or without
-- gives begin: {0 begin with this, 1 go on with this; id; when}, {2 answered; id; status; body},
--              {3 under way; ms until it may be taken over}, {4 another request had this key}
--       else whether it was still so
local call, sub = redis.call, string.sub
local key, op, print, id = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local value = call('GET', key)

local function put(when, status, body)
    call('SET', key, print .. id .. struct.pack('>I8', when) .. struct.pack('>I2', status) .. body, 'KEEPTTL')
end

if op == 'begin' then
    if not value then
        put(NOW, 0, '')
        call('PEXPIRE', key, ARGV[4])
        return {0, id, NOW}
    elseif sub(value, 1, 32) ~= print then
        return {4}
    end
    local when, status = struct.unpack('>I8I2', value, 49)
    id = sub(value, 33, 48)
    if status > 0 then
        return {2, id, status, sub(value, 59)}
    elseif NOW < when + tonumber(ARGV[5]) then
        return {3, when + tonumber(ARGV[5]) - NOW}
    end
    put(NOW, 0, '')
    return {1, id, NOW}
end

if not value or sub(value, 1, 48) ~= print .. id then
    return 0
end
local when, status = struct.unpack('>I8I2', value, 49)
if status > 0 then
    return 0
elseif op == 'done' then
    put(when, tonumber(ARGV[4]), ARGV[5])
elseif when ~= tonumber(ARGV[4]) then
    return 0
elseif op == 'open' then
    put(0, 0, '')
else
    call('DEL', key)
end
return 1
