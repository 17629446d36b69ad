-- When the first delayed job is due, Unix ms; 0: there is none (or never).
local function next_due()
    local first = call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
    local due = tonumber(first[2] or '0')
    if not (due > 0 and due < 2 ^ 53) then
        return due and due < 0 and 1 or 0
    end
    return math.ceil(due)
end
