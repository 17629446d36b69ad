"""Mistakes that the explorer must find: each in its world, with a word of what it must say."""

from typing import NamedTuple

from model.scripts import Mutation
from model.world import Job, Size
from model.worlds import ONE_OF_A_KEY, ONE_OF_ALL, ONE_PER_LEASE

SMALL = Size(pauses=False)
ALONE = Size(processes=1, faults=0, pauses=False)
CANCELS = ALONE._replace(cancels=True, waits=False)
KEYED = ALONE._replace(jobs=(Job(key=b"k"), Job(key=b"k")), limits=ONE_OF_A_KEY, settles=("done", "again"), waits=False)


def two(policy, how="ready", **more):
    return ALONE._replace(jobs=(Job(how, unique=policy, **more), Job(how, unique=policy, **more)), settles=("done", "retry"), waits=False)


class Mistake(NamedTuple):
    size: Size
    says: str
    mutation: Mutation


MISTAKES = {
    "settle does not ask whose claim it is": Mistake(
        SMALL, "changed something", Mutation("part_ours", "if last and string.sub(st, 13, 16) == attempt\n"
                                             "        and (string.byte(st, 2) == RUNNING or string.byte(st, 2) == CANCELLED)\n"
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
    "a beat that goes along with a look is none": Mistake(
        SMALL, "went along and was not noted", Mutation("reap", "reply[5] = beat(ARGV[4], ARGV[5], prefix .. ARGV[4])", "reply[5] = {1, 0}")),
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

    # cancelling
    "a cancel is not written down for who runs the job": Mistake(
        CANCELS, "cancel said 2", Mutation("cancel", "call('SADD', TAG .. 'cancels:' .. string.sub(st, last + 4, last + 3 + len), id)", "")),
    "a cancel is not published": Mistake(
        CANCELS, "cancel said 2", Mutation("cancel", "call('PUBLISH', TAG .. 'control', table.concat(running))", "")),
    "a cancel changes no state": Mistake(
        CANCELS, "cancel said 1", Mutation("cancel", "call('HSET', STATE, unpack(fresh))", "")),
    "what is cancelled waits for its time": Mistake(
        CANCELS._replace(jobs=(Job("delayed"),)), "is in delayed",
        Mutation("cancel", "take_delayed(id, (struct.unpack('>I8', st, last + 3)))", "local _ = 0")),
    "what is cancelled comes at once, and nobody is told": Mistake(
        CANCELS._replace(jobs=(Job("delayed"),)), "nobody has been told", Mutation("cancel", "leave_token()", "local _ = 0")),
    "a tombstone becomes a job again": Mistake(
        CANCELS, "the request to cancel job 0 is lost", Mutation("part_state", "string.byte(st, 2) == CANCELLED and string.sub(st, 1, 11) or ", "")),
    "a claim does not know a tombstone": Mistake(
        CANCELS, "comes back to life", Mutation("claim", "if last and byte(st, 2) == CANCELLED then", "if false then")),
    "a tombstone is claimed as what runs": Mistake(
        CANCELS, "comes back to life", Mutation("claim", "fresh[at] = sub(st, 1, 11) .. struct.pack('>BI4BI2', 0xce, attempt, 0xcd, excused)",
                                                "excused = excused - 1\n fresh[at] = head .. struct.pack('>I4BI2', attempt, 0xcd, excused)")),
    "who recorded a tombstone is refused": Mistake(
        CANCELS, "draining ended []", Mutation("part_ours", " or string.byte(st, 2) == CANCELLED", "")),
    "a retry forgets that it was to be cancelled": Mistake(
        CANCELS, "the request to cancel job 0 is lost",
        Mutation("settle", "if wanted[i] == 1 or byte(st, 2) == CANCELLED then", "if byte(st, 2) == CANCELLED then")),
    "a tombstone waits for another attempt": Mistake(
        CANCELS, "comes back to life", Mutation("settle", "if wanted[i] == 1 or byte(st, 2) == CANCELLED then", "if wanted[i] == 1 then")),
    "what is given back forgets that it was to be cancelled": Mistake(
        CANCELS, "the request to cancel job 0 is lost",
        Mutation("part_give_back", "wanted[i] == 1 and cancelled(states[i]) or states[i]", "states[i]")),
    "a request outlives its claim": Mistake(
        CANCELS, "is to stop job 0", Mutation("settle", "forget_cancels(ACTIVE, ours)", "local _ = 0")),
    "a request outlives its claim that is given back": Mistake(
        CANCELS._replace(jobs=(Job(), Job()), batch=2, give_back=1, settles=("done",)), "is to stop job",
        Mutation("part_give_back", "forget_cancels(active, ids)", "local _ = 0")),
    "a tombstone is excused twice": Mistake(
        CANCELS, "of 1 attempts excused", Mutation("part_give_back", "excuse and string.byte(states[i], 2) ~= CANCELLED", "excuse")),
    "a beat names nobody who is to be cancelled": Mistake(
        CANCELS, "a beat names", Mutation("part_beat", ", unpack(call('SRANDMEMBER', cancels_of(active), 64))", "")),
    "a claim tells no watcher": Mistake(
        CANCELS._replace(watched=True), "was not told", Mutation("claim", "        changed(ids)\n", "")),
    "an end tells no watcher": Mistake(
        CANCELS._replace(watched=True), "was not told", Mutation("settle", "changed(ours)", "local _ = 0")),
    "what is given back tells no watcher": Mistake(
        CANCELS._replace(watched=True), "was not told", Mutation("part_give_back", "changed(ids)", "local _ = 0")),

    # unique keys
    "a job that has ended keeps its unique key": Mistake(
        two("reject"), "there is still ['mr:{q}:holds', 'mr:{q}:unique:u']", Mutation("settle", "release_keys(ours)", "local _ = 0")),
    "who holds a unique key is not asked": Mistake(
        two("reject"), "was taken although", Mutation("enqueue_checked", "local holder = key ~= '' and holder_of(key) or nil", "local holder = nil")),
    "a unique key is not given back by its job": Mistake(
        two("reject"), "who will not give it back", Mutation("enqueue_checked", "call('HSET', HOLDS, id, key)", "")),
    "a unique key is not taken": Mistake(
        two("keep"), "holds a key that is", Mutation("enqueue_checked", "        call('SET', UNIQUE .. key, id)\n", "")),
    "who is replaced stays": Mistake(
        two("replace", "delayed"), "is not there", Mutation("enqueue_checked", "call('ZREM', DELAYED, member)", "local _ = 0")),
    "who has run is replaced": Mistake(
        two("replace", "delayed"), "was replaced, whose state entry said",
        Mutation("enqueue_checked", "string.byte(st, 2) ~= SCHEDULED or", "string.byte(st, 2) ~= SCHEDULED and string.byte(st, 2) ~= RETRYING or")),
    "who is replaced tells no watcher": Mistake(
        two("replace", "delayed")._replace(watched=True), "was not told", Mutation("enqueue_checked", "changed({holder})", "local _ = 0")),
    "what takes the place has an id of its own": Mistake(
        two("replace", "delayed"), "is not there",
        Mutation("enqueue_checked", "string.sub(item, 1, 9) .. holder .. string.sub(item, 26)", "item")),
    "what was said to an enqueue is forgotten": Mistake(
        two("keep", once=True), "changed something", Mutation("enqueue_checked", "if code <= REPLACED then", "if false then")),
    "a unique job leaves no token": Mistake(
        two("reject"), "nobody has been told", Mutation("enqueue_checked", "    leave_token()\n", "    local _ = 0\n")),

    # limits
    "what is given back keeps its slot": Mistake(
        KEYED, "has a slot of k", Mutation("part_give_back", "free_slots(ids)", "local _ = 0")),
    "what is done keeps its slot": Mistake(
        KEYED, "there is still ['mr:{q}:slots', 'mr:{q}:slots:k']", Mutation("settle", "free_slots(ours)", "local _ = 0")),
    "a retry keeps its slot": Mistake(
        KEYED, "has a slot of k", Mutation("settle", "free_slots(moved)", "local _ = 0")),
    "a slot is freed in one place of two": Mistake(
        KEYED, "there is still ['mr:{q}:slots:k']",
        Mutation("part_slots", "call('SREM', SLOTS .. ':' .. gates[i], unpack(gone[gates[i]]))", "local _ = 0")),
    "a freed slot opens no gate": Mistake(
        KEYED, "draining ended [0], there were", Mutation("part_slots", "if time and tonumber(time) >= SHUT then", "if false then")),
    "a gate is opened and nobody is told": Mistake(
        KEYED, "nobody has been told", Mutation("part_slots", "leave_token()", "local _ = 0")),
    "a claim takes no slot": Mistake(
        KEYED._replace(jobs=(Job(key=b"k"),)), "was claimed without a slot", Mutation("claim", "pick.hold(taken, keys)", "local _ = 0")),
    "jobs are parked without a gate": Mistake(
        KEYED, "draining ended [0], there were",
        Mutation("part_pick", "call('ZADD', GATES, opens(pick.known[key]), key)\n        call('LPUSH'", "call('LPUSH'")),
    "what is parked is not counted": Mistake(
        KEYED, "jobs are parked, the count says", Mutation("part_pick", "call('HINCRBY', PARKED, p - 1, #aside[key])", "local _ = 0")),
    "a gate goes before its jobs": Mistake(
        KEYED, "draining ended [1], there were", Mutation("part_pick", "if not has_parked(key) then", "if true then")),
    "a key's turn is given twice": Mistake(
        KEYED._replace(batch=2), "2 jobs of k run", Mutation("part_pick", "b.taken = b.taken + 1", "local _ = 0")),
    "what is parked does not count for a cap": Mistake(
        KEYED._replace(jobs=(Job(key=b"k", capped=True),) * 3, cap=1), "was answered 0, 1 jobs wait",
        Mutation("part_caps", "n = n + math.max(0, tonumber(parked) or 0)", "n = n + 0")),
    "a cap refuses nobody": Mistake(
        KEYED._replace(jobs=(Job(capped=True),) * 2, cap=1), "was answered 0, 1 jobs wait",
        Mutation("enqueue_checked", "if cap then", "if false then")),
    "a queue's limit is not asked": Mistake(
        KEYED._replace(jobs=(Job(), Job()), limits=ONE_OF_ALL), "2 jobs of the queue run",
        Mutation("part_pick", "math.min(n, pick.own.may)", "n")),
    "the queue's gate waits for nobody": Mistake(
        KEYED._replace(jobs=(Job(), Job()), limits=ONE_OF_ALL), "waits for a slot, and all are free",
        Mutation("part_slots", "call('HMGET', SLOTS, unpack(ids)), {}, {''}, {}", "call('HMGET', SLOTS, unpack(ids)), {}, {'-'}, {}")),
    "limits that are taken away leave their jobs parked": Mistake(
        KEYED._replace(limit_moves=True), "draining ended",
        Mutation("limits", "text = none -- until what is parked is gone", "local _ = 0")),
    "limits that change tell nobody": Mistake(
        KEYED._replace(limit_moves=True), "nobody has been told", Mutation("limits", "    leave_token()", "    local _ = 0")),
    "a reaper frees the slot of a tombstone": Mistake(
        KEYED._replace(cancels=True), "has lost its slot", Mutation("part_tend", "string.byte(st, last + 1) ~= CLAIMED", "string.byte(st, 2) ~= RUNNING")),
    "a claim does not say when a gate opens": Mistake(
        KEYED._replace(limits=ONE_PER_LEASE), "a claim says that something is due",
        Mutation("claim", "reply[4] = sooner(reply[4], next_gate())", "local _ = 0")),
}
