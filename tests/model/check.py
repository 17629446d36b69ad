"""What must hold in each state and in each step. Each check gives a text when it does not, else None."""

from model import check_cancel, check_limits, check_unique, view
from model.scripts import LEASE, NOW
from model.view import ACTIVE, EVENTS, PREFIX, WATCH
from model.world import ID, NUMBER

WAITS, CLAIMED = (view.QUEUED, view.CANCELLED), (view.RUNNING, view.CANCELLED)
STATES = {"ready": WAITS, "parked": WAITS, "delayed": (view.SCHEDULED, view.RETRYING), "active": CLAIMED}
EXCUSES = ("settle release", "reconcile", "unregister")


# --- states ---------------------------------------------------------------------------------------


def one_place(world, seen):
    """A live job is in exactly one of ready, parked, delayed and active; others are nowhere."""
    for job_id, places in seen.places.items():
        if job_id not in NUMBER:
            return f"an item of no job: {job_id!r}"
    for j, state in enumerate(world.jobs):
        places = seen.places.get(ID[j], [])
        if len(places) != (1 if state == "live" else 0):
            return f"job {j} is {state} and in {len(places)} places: {places}"
    return None


def matching_entry(world, seen, size):
    """The state entry says what the place says. A bare LPUSH makes none before the first claim."""
    for j, state in enumerate(world.jobs):
        entry, places = seen.entries.get(ID[j]), seen.places.get(ID[j], [])
        if state != "live":
            if entry:
                return f"job {j} is {state} and has a state entry: {entry}"
            continue
        kind, where = places[0]
        if entry is None:
            if size.jobs[j].how != "foreign" or world.attempts[j] > 0 or kind not in ("ready", "parked"):
                return f"job {j} is {kind} and has no state entry"
        elif entry.state not in STATES[kind] or entry.consumer != (where if kind == "active" else b""):
            return f"job {j} is in {kind} {where.decode()}, its state entry says {entry}"
    return None


def attempts_go_on(world, seen):
    for j, high in enumerate(world.attempts):
        entry = seen.entries.get(ID[j])
        if entry and entry.attempt < high:
            return f"job {j} was in attempt {high} and is in {entry.attempt}"
        if entry and entry.excused > entry.attempt:
            return f"job {j}: {entry.excused} of {entry.attempt} attempts excused"
    return None


def claims_have_a_consumer(world, seen):
    for key in seen.keys:
        if key.startswith(ACTIVE) and key[len(ACTIVE):] not in seen.beats:
            return f"{key.decode()} holds jobs, and its consumer is not among those that are looked after"
    return None


def somebody_is_told(world, seen, size):
    """Where jobs wait for nothing there is a token, or somebody took it and will claim. Of a gate that opens by time each has a timer."""
    if seen.tokens > 1:
        return f"{seen.tokens} tokens"
    by_time = size.is_rated() and (b"" in seen.gates or not seen.claimable)
    waits = (seen.claimable or seen.passable) and not by_time and not seen.paused
    if waits and not seen.tokens and not world.dark and not any(p.told for p in world.processes):
        return "jobs are ready, there is no token, and nobody has been told"
    return None


def of_state(size, world, seen):
    return (one_place(world, seen) or matching_entry(world, seen, size) or attempts_go_on(world, seen)
            or claims_have_a_consumer(world, seen) or somebody_is_told(world, seen, size)
            or check_cancel.requests_are_of_claims(seen) or check_unique.held_while_it_lives(world, seen, size)
            or check_limits.of_state(seen, size))


# --- steps ----------------------------------------------------------------------------------------


def claims(world, before, step, reply, seen):
    for at in range(4, len(reply), 5):
        j, attempt = NUMBER[reply[at]], reply[at + 1]
        entry = seen.entries.get(reply[at])
        if attempt != world.attempts[j] + 1:
            return f"job {j} was claimed in attempt {attempt} after attempt {world.attempts[j]}"
        if (reply[at + 3] >= 16) != (reply[at] in before.entries and before.entries[reply[at]].state == view.CANCELLED):
            return f"job {j} was claimed with the priority {reply[at + 3]}, before it was {before.entries.get(reply[at])}"
        if not entry or not entry.is_held(step.call.consumer, attempt):
            return f"job {j} was claimed in attempt {attempt} by {step.call.consumer.decode()}, its entry says {entry}"
        if before.paused or before.beats.get(step.call.consumer, 0) == 0:
            return f"job {j} was claimed while the queue was paused or by who is not registered"
    return None


def settlements(world, before, step, reply, seen):
    done = step.kind == "settle done"
    job_id = step.call.args[2]
    attempt = int.from_bytes(step.call.args[3], "big")
    entry = before.entries.get(job_id)
    ours = entry and entry.is_held(step.call.consumer, attempt)
    if ours and reply:
        return f"who holds the claim was refused: {reply}"
    if not ours and not reply:
        return "a settlement was accepted that nobody had a right to"
    if not ours and seen is not before:
        return "a settlement that was refused changed something"
    if done and not reply and world.jobs[NUMBER[job_id]] != "live":
        return "done was accepted a second time"
    return None


OF_STEP = {"claim": claims, "settle": settlements}


def of_step(world, before, step, reply, seen):
    check = OF_STEP.get(step.call.script)
    return check(world, before, step, reply, seen) if check else None


# --- calls, whatever the world is ------------------------------------------------------------------


def excuses(before, step, seen):
    for job_id, entry in seen.entries.items():
        old = before.entries.get(job_id)
        more = entry.excused - old.excused if old else 0
        allowed = step.kind in EXCUSES or step.call.script in EXCUSES
        if step.calls("claim") and entry.state == view.CANCELLED and entry.attempt > old.attempt:
            allowed = True  # it is only recorded
        if more < 0 or more > (1 if allowed else 0):
            return f"job {NUMBER[job_id]} has {more} more excused attempts"
        if old and old.priority != entry.priority and not step.calls("enqueue_checked"):
            return f"job {NUMBER[job_id]} changed its priority"
    return None


def living_consumers(before, step, seen):
    """A reaper takes nothing from who beat within the lease; a beat from the future becomes one of now."""
    if not step.calls("reap"):
        return None
    own = step.rider()
    for name, beat in before.beats.items():
        if beat > NOW - LEASE and seen.beats.get(name) != (NOW if name == own else min(beat, NOW)):
            return f"{name.decode()} was reaped although its lease had not run out, or its beat stays in the future"
        if beat > NOW - LEASE and before.keys.get(ACTIVE + name) != seen.keys.get(ACTIVE + name):
            return f"claims of {name.decode()} were given back although its lease had not run out"
    if own and before.beats.get(own) and seen.beats.get(own) != NOW:
        return f"the beat of {own.decode()} went along and was not noted"
    return None


def reaper_leaves_a_token(before, step, seen):
    if step.calls("reap") and (seen.claimable or seen.passable) and not seen.paused and not seen.tokens:
        return "the reaper saw waiting jobs and left no token"
    return None


def earlier_due(before, step, seen):
    """Who waits has a timer for the first due time that he knows; something earlier makes him look again."""
    if step.kind == "time" or not seen.dues or seen.tokens:
        return None
    if not before.dues or min(seen.dues) < min(before.dues):
        return "something is due earlier than anybody knows, and there is no token"
    return None


def watchers_hear(before, step, seen, published):
    """Who watches is told of each job whose state value changed. Who enqueues a job knows it."""
    heard = b"".join(message for channel, message in zip(published[::2], published[1::2]) if channel == EVENTS)
    for job_id in set(before.values) | set(seen.values):
        known = step.call.script.startswith("enqueue") and job_id not in before.values or step.kind == "time"
        if before.values.get(job_id) != seen.values.get(job_id) and job_id not in heard and not known:
            return f"job {NUMBER[job_id]} changed, and who watches it was not told"
    return None


def of_call(size, before, step, reply, seen, published):
    if isinstance(reply, dict):
        return f"the script failed: {reply}"
    return (excuses(before, step, seen) or living_consumers(before, step, seen) or reaper_leaves_a_token(before, step, seen)
            or earlier_due(before, step, seen) or (size.watched and watchers_hear(before, step, seen, published))
            or check_cancel.of_call(before, step, reply, seen, published)
            or check_unique.of_call(size, before, step, reply, seen) or check_limits.of_call(size, before, step, reply, seen))


# --- the end --------------------------------------------------------------------------------------


def is_kept(size, key):
    """Who is there, what the queue is; and what runs out by itself."""
    return (key in (PREFIX + b"consumers", PREFIX + b"workers", PREFIX + b"meta", PREFIX + b"rates", WATCH) or key.startswith(PREFIX + b"once:")
            or any(job.window for job in size.jobs) and key.startswith(view.UNIQUE))


def drained(size, before, ended, seen):
    """What is left after one consumer did all there was: each job ended once, and nothing is there any more."""
    if isinstance(ended, dict):
        return f"draining failed: {ended}"
    if sorted(ended) != sorted(before.places):
        return f"draining ended {[NUMBER.get(i) for i in ended]}, there were {[NUMBER.get(i) for i in before.places]}"
    left = [key.decode() for key in seen.keys if not is_kept(size, key)]
    return f"after draining there is still {left}" if left else None
