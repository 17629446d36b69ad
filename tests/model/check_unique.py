"""What must hold of enqueue_checked: one live job has a unique key, from its enqueueing until it has ended, however it ends; no cap is passed."""

from model import view
from model.view import PREFIX
from model.world import AGAIN, FULL, HELD, ID, KEPT, NUMBER, REPLACED, TAKEN, UNIQUE_KEY


def held_while_it_lives(world, seen, size):
    for job_id, key in seen.holds.items():
        if job_id not in seen.entries:
            return f"job {NUMBER[job_id]} has ended and holds the key {key.decode()}"
        if seen.uniques.get(key) != job_id:
            return f"job {NUMBER[job_id]} holds a key that is {NUMBER.get(seen.uniques.get(key))}'s"
    for key, job_id in seen.uniques.items():
        if not size.jobs[NUMBER[job_id]].window and job_id not in seen.holds:
            return f"the key {key.decode()} is job {NUMBER[job_id]}'s, who will not give it back"
    for j, state in enumerate(world.jobs):
        job = size.jobs[j]
        if state == "live" and job.unique and not job.window and seen.uniques.get(UNIQUE_KEY) != ID[j]:
            return f"job {j} lives and does not hold its key"
    return None


def took_the_place(before, holder, j, seen):
    old, new = before.entries.get(holder), seen.entries.get(holder)
    if not old or old.state != view.SCHEDULED or old.attempt != 0:
        return f"job {NUMBER[holder]} was replaced, whose state entry said {old}"
    if not new or len(seen.places.get(holder, ())) != 1 or seen.items[holder][-1] != j:
        return f"job {j} took the place of job {NUMBER[holder]} and is not there"
    return None


def but_for_memory(seen):
    return {key: content for key, content in seen.keys.items() if not key.startswith(PREFIX + b"once:")}


def capped(size, before, code, j):
    """What is parked waits, too; retries are not refused, so there may be more than the cap."""
    waiting = sum(1 for places in before.places.values() if places[0][0] != "active")
    is_full = size.jobs[j].capped and waiting >= size.cap
    if code == FULL and not is_full or code == TAKEN and is_full:
        return f"job {j} was answered {code}, {waiting} jobs wait"
    return None


def of_call(size, before, step, reply, seen):
    """The verdict, and what was done, fit who held the key."""
    if not step.calls("enqueue_checked"):
        return None
    code, who, job_id = reply[0], reply[1], step.call.args[2]
    j, holder = NUMBER[job_id], before.uniques.get(UNIQUE_KEY) if step.call.args[7] else None
    if code >= AGAIN:
        return None if seen is before else "what was enqueued again changed something"
    text = capped(size, before, code, j)
    if text or code == FULL:
        return text or (None if seen is before else "what was refused changed something")
    if code == TAKEN:
        return f"job {j} was taken although job {NUMBER[holder]} held its key" if holder else None
    if who != holder or holder is None:
        return f"job {j} was told of {who!r}, and {holder!r} holds the key"
    if code == REPLACED:
        return took_the_place(before, holder, j, seen)
    if code not in (KEPT, HELD) or but_for_memory(seen) != but_for_memory(before):
        return f"job {j} was answered {code}, and something changed"
    return None

