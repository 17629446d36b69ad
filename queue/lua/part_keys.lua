-- The keys of one queue, in the order of enum queue_key. Scripts that speak for one consumer get
-- its hash of claims as the eleventh; others derive it from the prefix that they are given (the
-- hash tag keeps it in the same slot).
local call = redis.call
local STATE, META, WAKE, DELAYED = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local CONSUMERS, WORKERS = KEYS[5], KEYS[6]
local READY = {KEYS[7], KEYS[8], KEYS[9], KEYS[10]}
local ACTIVE = KEYS[11]
