-- Who watches jobs of this queue hears which to look at again: their ids, one behind the other, in
-- one message. Whether anybody watches costs one EXISTS. All names here share the hash tag of KEYS.
local TAG = string.sub(STATE, 1, -6)
local WATCHED = call('EXISTS', TAG .. 'watch') == 1

local function changed(ids)
    if WATCHED and #ids > 0 then
        call('PUBLISH', TAG .. 'events', table.concat(ids))
    end
end
