"""What must hold of limits: who has a slot has a claim, what has no turn waits behind a gate, and something opens each gate."""

from model.scripts import NOW
from model.view import SHUT, key_of
from model.world import NUMBER


def claimed(seen):
    """Id -> key, of what is claimed."""
    return {job_id: key_of(seen.items[job_id]) for job_id, places in seen.places.items() if places[0][0] == "active"}


def slots_are_claims(seen):
    sets = {}
    for job_id, key in seen.slots.items():
        sets.setdefault(key, set()).add(job_id)
        if job_id not in claimed(seen):
            return f"job {NUMBER[job_id]} has a slot of {key.decode()} and is not claimed"
    return None if sets == seen.slot_sets else f"the slots are {seen.slots}, by key they are {seen.slot_sets}"


def within_limits(seen, size):
    most = size.limit("key")
    for key, ids in seen.slot_sets.items():
        if len(ids) > most:
            return f"{len(ids)} jobs of {key.decode()} run"
    if size.limits and not size.limit_moves:
        running = claimed(seen)
        if most and running.keys() - {i for i, key in running.items() if not key} != seen.slots.keys():
            return f"{[NUMBER[i] for i in running]} are claimed, {[NUMBER[i] for i in seen.slots]} have a slot"
        if size.limit("queue") and len(running) > size.limit("queue"):
            return f"{len(running)} jobs of the queue run"
    return None


def parked_behind_gates(seen):
    said = {}
    for key, by_digit in seen.parked.items():
        if key not in seen.gates:
            return f"jobs of {key.decode()} are parked, and there is no gate"
        for digit, n in by_digit.items():
            said[digit] = said.get(digit, 0) + n
    if said != {digit: n for digit, n in seen.parked_said.items() if n != 0}:
        return f"{said} jobs are parked, the count says {seen.parked_said}"
    return None


def gates_are_opened_by_somebody(seen):
    """What only a freed slot opens has a slot to be freed."""
    for key, at in seen.gates.items():
        if at >= SHUT and not (seen.slot_sets.get(key) if key else claimed(seen)):
            return f"the gate of {key.decode() or 'the queue'} waits for a slot, and all are free"
    return None


def of_state(seen, size):
    return (slots_are_claims(seen) or within_limits(seen, size) or parked_behind_gates(seen) or gates_are_opened_by_somebody(seen)
            if size.limits else None)


def slots_are_kept(before, seen):
    """For as long as the claim stands."""
    for job_id, key in before.slots.items():
        old, new = before.entries[job_id], seen.entries.get(job_id)
        if new and new.is_held(old.consumer, old.attempt) and seen.slots.get(job_id) != key:
            return f"job {NUMBER[job_id]} is claimed and has lost its slot of {key.decode()}"
    return None


def claims_take_slots(size, before, step, reply, seen):
    if not step.calls("claim") or not size.limit("key") or before.limits != size.limits.encode():
        return None
    for job_id in reply[4::5]:
        key = key_of(seen.items[job_id])
        if key and seen.slots.get(job_id) != key:
            return f"job {NUMBER[job_id]} was claimed without a slot of {key.decode()}"
    return None


def timers_are_set(step, reply, seen):
    """Who claims and is not told that there is more is told when there will be, by a due time or a gate."""
    if not step.calls("claim") or reply[0] == 0 or reply[2] == 1 or seen.paused:
        return None
    own = seen.gates.get(b"", 0)
    gates = [own] if own > NOW else [at for at in seen.gates.values() if at > NOW]
    times = [at for at in [*seen.dues, *gates] if at < SHUT]
    if reply[3] != (min(times) if times else 0):
        return f"a claim says that something is due at {reply[3]}, it is at {times}"
    return None


def of_call(size, before, step, reply, seen):
    if not size.limits:
        return None
    return (slots_are_kept(before, seen) or claims_take_slots(size, before, step, reply, seen) or timers_are_set(step, reply, seen))
