-- beat: a consumer lives. Also says how many claims Redis thinks it holds.
-- ARGV  consumer, "host:instance:"
-- gives {1, claims, ids of those that are to be cancelled (64 at most)}; {0, 0}: not registered any more; {2, 0}: because another of its name is
return beat(ARGV[1], ARGV[2], ACTIVE)
