"""Mistakes that the explorer must find: each in its world, with a word of what it must say."""

from typing import NamedTuple

from model.scripts import Mutation
from model.world import Job, Size

SMALL = Size(pauses=False)
ALONE = Size(processes=1, faults=0, pauses=False)

LIMITED = ALONE._replace(jobs=(Job(key=b"a"), Job(key=b"a")), batch=2, key_running=1, attempts=1, settles=("done",))


class Mistake(NamedTuple):
    size: Size
    says: str
    mutation: Mutation


MISTAKES = {
    "settle does not ask whose claim it is": Mistake(
        SMALL, "changed something", Mutation("part_ours", "if last and string.byte(st, 2) == RUNNING and string.sub(st, 13, 16) == attempt\n"
                                             "        and string.sub(st, last + 2, last + 1 + #NAME_MP) == NAME_MP then", "if last then")),
    "settle does not look at the attempt": Mistake(
        SMALL, "changed something", Mutation("part_ours", "and string.sub(st, 13, 16) == attempt", "")),
    "settle does not look at the consumer": Mistake(
        SMALL, "changed something", Mutation("part_ours", "== NAME_MP then", "~= nil then")),
    "a job that is given back begins at attempt 0 again": Mistake(
        SMALL, "was in attempt", Mutation("part_state", "string.sub(st, 12, 16)", "'\\206\\0\\0\\0\\0'")),
    "a claim does not count the attempt": Mistake(
        ALONE, "was claimed in attempt", Mutation("claim", "attempt = attempt + 1", "attempt = attempt + 0")),
    "what is given back stays claimed": Mistake(
        SMALL, "active:h0:i:0", Mutation("part_give_back", "call('HDEL', active, unpack(ids))", "")),
    "what is given back keeps its state": Mistake(
        SMALL, "its state entry says", Mutation("part_give_back", "call('HSET', STATE, unpack(fresh))", "")),
    "a name is forgotten before its claims": Mistake(
        ALONE._replace(jobs=(Job(), Job()), batch=2, give_back=1), "not among those",
        Mutation("part_give_back", "call('ZADD', CONSUMERS, 'XX', 0, name)", "call('ZREM', CONSUMERS, name)")),
    "a claim does not ask whether its consumer is registered": Mistake(
        SMALL, "not registered", Mutation("claim", "if not beat or beat == '0' then", "if false then")),
    "a paused queue is claimed from": Mistake(
        ALONE._replace(pauses=True), "paused", Mutation("claim", "if flags[1] == '1' then", "if false then")),
    "a reaper believes beats from the future": Mistake(
        ALONE._replace(faults=1, kinds=("back",)), "stays in the future", Mutation("reap", "call('ZADD', CONSUMERS, 'XX', NOW, name)", "local _ = name")),
    "a reaper takes from the living": Mistake(
        SMALL, "lease had not run out", Mutation("reap", "NOW - lease,", "NOW,")),
    "a reaper excuses the attempt": Mistake(
        SMALL, "more excused attempts", Mutation("reap", "budget - back, false)", "budget - back, true)")),
    "a job that is given back is lost": Mistake(
        SMALL, "draining ended [], there were [0]", Mutation("part_give_back", "push('RPUSH', lists)", "")),
    "a settlement that is refused forgets the job": Mistake(
        SMALL, "changed something", Mutation("settle", "set_aside(n + i, st, ARGV[arg + 1])", "call('HDEL', STATE, id)")),
    "done leaves the state": Mistake(
        ALONE, "there is still ['mr:{q}:state']", Mutation("settle", "call('HDEL', STATE, unpack(ours))", "")),
    "done leaves the claim": Mistake(
        ALONE, "there is still ['mr:{q}:active:drain:0:1']", Mutation("settle", "call('HDEL', ACTIVE, unpack(ours))", "")),
    "a retry stays claimed": Mistake(
        ALONE, "in 2 places", Mutation("settle", "call('HDEL', ACTIVE, unpack(moved))", "")),
    "a due job stays delayed": Mistake(
        ALONE._replace(jobs=(Job("delayed"),)), "draining ended [0, 0,",
        Mutation("part_promote", "call('ZREMRANGEBYRANK', DELAYED, 0, #due - 1)", "")),
    "a due job keeps its state": Mistake(
        ALONE._replace(jobs=(Job("delayed"),)), "its state entry says",
        Mutation("part_promote", "call('HSET', STATE, unpack(fresh))", "")),
    "enqueue leaves no token": Mistake(
        ALONE, "nobody has been told", Mutation("enqueue", "redis.call('LPUSH', KEYS[3], '1')", "local _ = 0")),
    "a release leaves no token": Mistake(
        ALONE._replace(settles=("release",)), "nobody has been told", Mutation("settle", "if wake then", "if false then")),
    "an earlier due time tells nobody": Mistake(
        ALONE, "due earlier", Mutation("settle", "wake = wake or before == 0 or soonest < before", "")),
    "a claim that leaves jobs tells nobody": Mistake(
        ALONE._replace(jobs=(Job(), Job())), "nobody has been told",
        Mutation("claim", "    leave_token()\n    reply[3] = 1", "    reply[3] = 1")),
    "a resumed queue tells nobody": Mistake(
        ALONE._replace(pauses=True), "nobody has been told", Mutation("pause", "leave_token()", "local _ = 0")),
    "a reaper mends no lost token": Mistake(
        ALONE._replace(jobs=(Job("foreign"),)), "left no token", Mutation("reap", "    leave_token()", "    local _ = 0")),
    "unregister tells nobody": Mistake(
        ALONE, "nobody has been told", Mutation("unregister", "leave_token()", "local _ = 0")),
    "what lives can be enqueued twice": Mistake(
        ALONE, "changed something", Mutation("enqueue", "if ARGV[1] == '1' then", "if false then")),
    "a claim writes no slots down": Mistake(
        LIMITED, "draining ended", Mutation("claim", "pick.hold(taken, keys)", "")),
    "a settlement keeps the slot": Mistake(
        LIMITED, "slots:a", Mutation("settle", "        free_slots(ours)\n", "")),
    "what is given back keeps its slot": Mistake(
        LIMITED._replace(faults=1), "who holds a slot", Mutation("part_give_back", "    free_slots(ids)\n", "")),
    "a freed slot opens no gate": Mistake(
        LIMITED, "draining ended", Mutation("part_slots", "call('ZADD', GATES, 'XX', unpack(open))", "")),
    "a freed slot tells nobody": Mistake(
        LIMITED, "nobody has been told", Mutation("part_slots", "        leave_token()", "")),
    "a key runs more than it may": Mistake(
        LIMITED, "jobs of the key a run", Mutation("part_pick", "left_of(b) > 0 and", "")),
    "a job is parked without a gate": Mistake(
        LIMITED, "draining ended", Mutation("part_pick", "call('ZADD', GATES, opens(pick.known[key]), key)", "")),
    "parked jobs go without their gate": Mistake(
        LIMITED, "draining ended", Mutation("part_pick", "if not has_parked(key) then", "if true then")),
}
