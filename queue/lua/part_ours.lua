-- Whether a job is claimed by this consumer (ARGV[1]) in this attempt (4 bytes, big endian): its
-- state says so, and changes in the same scripts as the hash of claims. Gives where the type ends.
local NAME_MP = '\217' .. string.char(#ARGV[1]) .. ARGV[1]

local function is_ours(st, attempt)
    local last = type_end(st)
    if last and string.sub(st, 13, 16) == attempt
        and (string.byte(st, 2) == RUNNING or string.byte(st, 2) == CANCELLED)
        and string.sub(st, last + 2, last + 1 + #NAME_MP) == NAME_MP then
        return last
    end
    return nil
end
