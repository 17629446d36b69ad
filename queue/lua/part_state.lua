-- State values are spliced, not unpacked. Counted from 1: state stands at 2, since at 4, attempt
-- at 13, excused at 18, priority at 20, the type's length at 22, the type at 23, then the detail.
local QUEUED, SCHEDULED, RUNNING, RETRYING, CANCELLED = 1, 2, 3, 4, 7

-- Where the type ends; nil when this is no state value.
local function type_end(st)
    if not st or #st < 23 or string.byte(st, 1) ~= 0x97 then
        return nil
    end
    local tag, len = string.byte(st, 21, 22)
    if tag ~= 0xd9 or #st <= 22 + len then
        return nil
    end
    return 22 + len
end

-- The same job, waiting in a ready list. What is cancelled stays so, and since then.
local function queued(st, last, excuse)
    local excused = string.sub(st, 17, 19)
    if excuse and excused ~= '\205\255\255' then
        local n = struct.unpack('>I2', st, 18)
        excused = struct.pack('>BI2', 0xcd, n + 1)
    end
    local head = string.byte(st, 2) == CANCELLED and string.sub(st, 1, 11) or '\151\1' .. NOW_MP
    return head .. string.sub(st, 12, 16) .. excused .. string.sub(st, 20, last) .. '\192'
end
