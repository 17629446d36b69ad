-- Redis's own clock, the only one that moves trust: Unix ms, and the same as msgpack.
local clock = redis.call('TIME')
local NOW = clock[1] * 1000 + math.floor(clock[2] / 1000)
local NOW_MP = struct.pack('>BI8', 0xcf, NOW)
