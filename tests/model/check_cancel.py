"""What must hold of cancelling: a tombstone stays one until it is recorded, and a request is kept for as long as its job is claimed."""

from model import view
from model.view import CONTROL
from model.world import NUMBER


def requests_are_of_claims(seen):
    """A request that outlives its claim would stop a later one."""
    for consumer, ids in seen.cancels.items():
        for job_id in ids:
            entry = seen.entries.get(job_id)
            if not entry or entry.state != view.RUNNING or entry.consumer != consumer:
                return f"{consumer.decode()} is to stop job {NUMBER[job_id]}, whose state entry says {entry}"
    return None


def tombstones_stay(before, step, seen):
    for job_id, old in before.entries.items():
        new = seen.entries.get(job_id)
        if old.state != view.CANCELLED:
            continue
        if new and new.state != view.CANCELLED:
            return f"job {NUMBER[job_id]} was cancelled and comes back to life: {new}"
        if not new and step.kind != "settle done":
            return f"job {NUMBER[job_id]} was cancelled and is gone although nobody recorded it"
    return None


def requests_are_kept(before, step, seen):
    """Who runs it goes on and is still to stop it; or it has ended; or it is a tombstone now."""
    for consumer, ids in before.cancels.items():
        for job_id in ids:
            old, new = before.entries[job_id], seen.entries.get(job_id)
            if not new and step.kind == "settle done" or new and new.state == view.CANCELLED:
                continue
            if not new or not new.is_held(old.consumer, old.attempt) or job_id not in seen.cancels.get(consumer, ()):
                return f"the request to cancel job {NUMBER[job_id]} is lost; its state entry says {new}"
    return None


def answers(before, step, reply, seen, published):
    if not step.calls("cancel"):
        return None
    job_id = step.call.args[0]
    old, new = before.entries.get(job_id), seen.entries.get(job_id)
    told = any(job_id in message for channel, message in zip(published[::2], published[1::2]) if channel == CONTROL)
    said = {0: old is None, 1: new is not None and new.state == view.CANCELLED,
            2: new is not None and old == new and job_id in seen.cancels.get(new.consumer, ()) and told}
    return None if said[reply[0]] else f"cancel said {reply[0]} of job {NUMBER[job_id]}, whose state entry says {new}"


def beats_tell(step, reply, seen):
    who, told = (step.rider(), reply[4]) if step.rider() else (step.call.consumer, reply)
    if (step.calls("beat") or step.rider()) and told[0] == 1 and set(told[2:]) != seen.cancels.get(who, set()):
        return f"a beat names {told[2:]} of those that are to be cancelled"
    return None


def of_call(before, step, reply, seen, published):
    return (tombstones_stay(before, step, seen) or requests_are_kept(before, step, seen) or answers(before, step, reply, seen, published)
            or beats_tell(step, reply, seen))
