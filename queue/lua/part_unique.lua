-- Unique keys: mr:{q}:unique:<key> names the job that holds the key. Without a window it is held
-- for as long as the job lives, and mr:{q}:holds says so by the job's id; with one it ends by itself.
local BASE = string.sub(STATE, 1, -6) -- STATE without "state"
local HOLDS, UNIQUE = BASE .. 'holds', BASE .. 'unique:'

-- For whatever ends jobs: they give back the keys that they hold.
local function release_keys(ids)
    if #ids == 0 or call('EXISTS', HOLDS) == 0 then
        return
    end
    local held, gone = call('HMGET', HOLDS, unpack(ids)), {}
    for i, id in ipairs(ids) do
        if held[i] then
            gone[#gone + 1] = id
            if call('GET', UNIQUE .. held[i]) == id then
                call('DEL', UNIQUE .. held[i])
            end
        end
    end
    if #gone > 0 then
        call('HDEL', HOLDS, unpack(gone))
    end
end
