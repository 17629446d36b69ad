-- Who an item is. Our own encoding has the id at a fixed place. Items of other programs are looked
-- through for it, with bounds. An item that has none gets one when it is claimed, and carries it in
-- front from then on (c1, which begins no msgpack value, then the id), so that its attempts are
-- counted however often it comes back.
local OWN = '\161v\1\162id\196\16'
local CARRIED = 0xc1
local SCAN_STEPS = 10000 -- as many values as an envelope may hold

local function be(item, at, bytes)
    local n = 0
    for i = at, at + bytes - 1 do
        local b = string.byte(item, i)
        if not b then
            return nil
        end
        n = n * 256 + b
    end
    return n
end

-- By the first byte: how many bytes follow it, how many bytes of length come before these, and how
-- many values each unit of that length stands for (0: bytes). nil: no such value.
local function shape(b)
    if b <= 0x7f or b >= 0xe0 then
        return 0, 0, 0
    elseif b <= 0x8f then
        return 0, 0, 2, b - 0x80
    elseif b <= 0x9f then
        return 0, 0, 1, b - 0x90
    elseif b <= 0xbf then
        return b - 0xa0, 0, 0
    elseif b == 0xc0 or b == 0xc2 or b == 0xc3 then
        return 0, 0, 0
    elseif b >= 0xc4 and b <= 0xc6 then
        return 0, 2 ^ (b - 0xc4), 0
    elseif b >= 0xc7 and b <= 0xc9 then
        return 1, 2 ^ (b - 0xc7), 0
    elseif b == 0xca or b == 0xcb then
        return 4 * (b - 0xc9), 0, 0
    elseif b >= 0xcc and b <= 0xd3 then
        return 2 ^ (b % 4), 0, 0
    elseif b >= 0xd4 and b <= 0xd8 then
        return 1 + 2 ^ (b - 0xd4), 0, 0
    elseif b >= 0xd9 and b <= 0xdb then
        return 0, 2 ^ (b - 0xd9), 0
    elseif b == 0xdc or b == 0xdd then
        return 0, 2 * (b - 0xdb), 1
    elseif b == 0xde or b == 0xdf then
        return 0, 2 * (b - 0xdd), 2
    end
    return nil
end

-- The place behind the value at `at`, and the steps that are left; nil when it is broken or too long.
local function skip(item, at, steps)
    local todo = 1
    while todo > 0 do
        local b = string.byte(item, at)
        local bytes, prefix, values, n = nil, 0, 0, nil
        if b and steps > 0 then
            bytes, prefix, values, n = shape(b)
        end
        if not bytes then
            return nil
        end
        n = n or be(item, at + 1, prefix)
        if not n then
            return nil
        end
        at = at + 1 + prefix + bytes
        if values == 0 then
            at = at + n
        end
        todo = todo - 1 + values * n
        steps = steps - 1
    end
    return at, steps
end

-- The str (or, with bin, the bin) at `at` and the place behind it; nil: something else stands there.
local function text(item, at, bin)
    local b = string.byte(item, at)
    local first, prefix, n = 0xd9, 0, nil
    if not b then
        return nil
    end
    if bin then
        first = 0xc4
    elseif b >= 0xa0 and b <= 0xbf then
        n = b - 0xa0
    end
    if not n then
        if b < first or b > first + 2 then
            return nil
        end
        prefix = 2 ^ (b - first)
        n = be(item, at + 1, prefix)
    end
    at = at + 1 + prefix
    if not n or #item < at + n - 1 then
        return nil
    end
    return string.sub(item, at, at + math.min(n, 128) - 1), at + n
end

-- How many pairs a map has, and where the first begins; nil: this is no map.
local function map_head(item)
    local first = string.byte(item, 1)
    if not first then
        return nil
    elseif first >= 0x80 and first <= 0x8f then
        return first - 0x80, 2
    elseif first == 0xde and #item >= 3 then
        return be(item, 2, 2), 4
    elseif first == 0xdf and #item >= 5 then
        return be(item, 2, 4), 6
    end
    return nil
end

-- The id and the type of a map, whichever are found.
local function scan(item)
    local pairs_left, at = map_head(item)
    local steps, id, kind = SCAN_STEPS, nil, nil
    while at and pairs_left > 0 and not (id and kind) do
        local key, value = text(item, at, false)
        if not key then
            break
        end
        if key == 'id' and not id then
            id = text(item, value, true)
            if not id or #id ~= 16 then
                return nil, kind
            end
        elseif key == 'type' and not kind then
            kind = text(item, value, false)
        end
        at, steps = skip(item, value, steps)
        pairs_left = pairs_left - 1
    end
    return id, kind
end

-- The key that limits go by, or nil; and the steps that are left. Items without the word are not read.
local function key_of(bare, steps)
    if not string.find(bare, 'key', 1, true) then
        return nil, steps
    end
    local pairs_left, at = map_head(bare)
    local found
    while at and pairs_left > 0 and not found do
        local name, value = text(bare, at, false)
        if not name then
            break
        end
        if name == 'key' then
            found = text(bare, value, false)
        end
        at, steps = skip(bare, value, steps)
        pairs_left = pairs_left - 1
    end
    return found, steps or 0
end

-- The id, or nil; and the item as it was enqueued.
local function id_of(item)
    if string.sub(item, 2, 9) == OWN and #item >= 25 then
        return string.sub(item, 10, 25), item
    elseif string.byte(item, 1) == CARRIED and #item >= 17 then
        return string.sub(item, 2, 17), string.sub(item, 18)
    end
    return (scan(item)), item
end

-- The type, as state values hold it.
local function type_of(item)
    local _, kind = scan(item)
    if not kind or #kind > 64 or not string.find(kind, '^[a-z][a-z0-9._-]*$') then
        kind = ''
    end
    return '\217' .. string.char(#kind) .. kind
end
