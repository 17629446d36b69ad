"""The small world that is explored: jobs, processes, faults. MOVES is the table of what can happen in it.

A move is a function of a Situation that yields what it can do there as Steps. A step is either a call of a script, with
the function that says what the world is after its reply, or a change of the world alone. To add a script: write such a
function, add it to MOVES. What it may do to a job is checked by check.py; a script that others' lateness must not harm
belongs in probes() too.
"""

import struct
from functools import cache
from typing import Callable, NamedTuple, Optional

import msgpack

from model import view
from model.scripts import LEASE, NOW
from model.view import ACTIVE, PREFIX, QUEUE_KEYS, WATCH, item_of

INFO = b"\x81\xa1t"  # who a consumer is: a map whose last value the script puts on


class Job(NamedTuple):
    """What is to be enqueued. how: ready, delayed, or foreign (a bare LPUSH of another program)."""

    how: str = "ready"
    priority: int = 2
    key: bytes = b""  # what limits per key go by
    unique: str = ""  # it takes the unique key UNIQUE_KEY; reject, keep or replace: what if another one has it
    window: bool = False  # for a time, not for as long as it lives
    once: bool = False  # what was said to its enqueue is remembered
    capped: bool = False  # it is refused when too many wait


class Size(NamedTuple):
    """How large a world is. All may be raised; the number of states rises by about the power of faults."""

    jobs: tuple = (Job(),)
    processes: int = 2
    attempts: int = 2  # nothing is claimed beyond
    faults: int = 1
    settles: tuple = ("done", "retry", "release")  # also "again": a retry without delay
    give_back: int = 128  # how many jobs one call may give back
    pauses: bool = True
    kinds: tuple = ("crash", "cut")  # of faults; also "back": the clock is set back
    faulty: int = 1  # processes that faults may hit: with one fault, one stands for all
    waits: bool = True  # whether processes take tokens
    batch: int = 1  # how many one claim asks for, at most
    cancels: bool = False  # whether anybody cancels
    watched: bool = False  # whether somebody watches the jobs
    limits: str = ""  # of the queue, in force from the start
    limit_moves: bool = False  # whether they are taken away, and set again
    cap: int = 0  # how many may wait

    def limit(self, of):
        """How many may run at once under these limits, of the whole queue or of each key; 0: any number."""
        numbers = (self.limits or "0 0 0 0 0 0 0 0").split()
        return int(numbers[{"queue": 0, "key": 4}[of]])

    def is_rated(self):
        return any(n != "0" for n in self.limits.split()[1:8:4])


class Held(NamedTuple):
    """A claim as the process knows it. sent: the settlement that it may have carried out already."""

    job: int
    attempt: int
    sent: str = ""


class Process(NamedTuple):
    """off -> new -> up <-> check -> recon -> up; closing -> off. As queue/consumer_internal.h has it."""

    phase: str = "off"
    name: bytes = b""
    held: tuple = ()
    told: bool = False  # it took the token, and has not claimed since


class Call(NamedTuple):
    script: str  # "": a plain command; "!shift": time
    args: tuple
    consumer: bytes = b""
    keys: tuple = ()

    def packed(self):
        keys = list(self.keys) if self.keys else [*QUEUE_KEYS, ACTIVE + self.consumer]
        return [self.script, keys, list(self.args)]


class World(NamedTuple):
    jobs: tuple  # of each: new, live, ended
    attempts: tuple  # the highest that was given out, of each
    processes: tuple
    faults: int
    flight: Optional[tuple] = None  # (label, Call, after): on its way; its reply will reach nobody
    dark: bool = False  # a token was lost with who took it, or never left; the reaper's look mends it


class Step(NamedTuple):
    label: str
    call: Optional[Call]
    after: Callable  # of the reply (None without a call): World
    kind: str = ""  # what check.py goes by; else the script's name

    def calls(self, script):
        return self.call is not None and self.call.script == script

    def rider(self):
        """Whose beat goes along with a look of the reaper."""
        return self.call.args[3] if self.calls("reap") and len(self.call.args) > 3 else None


class Situation:
    """A world and what Redis holds."""

    def __init__(self, size, world, seen):
        self.size, self.world, self.seen = size, world, seen

    def with_process(self, p, **change):
        old = self.world.processes
        return self.world._replace(processes=old[:p] + (old[p]._replace(**change),) + old[p + 1:])


UNIQUE_KEY = b"u"
ID = [bytes.fromhex("018bcfe56800700080000000000000") + bytes([n + 1]) for n in range(8)]
NUMBER = {job_id: n for n, job_id in enumerate(ID)}


def attempt_bytes(n):
    return struct.pack(">I", n)


def identity(p):
    return b"h%d:i:" % p


def fresh_name(s, p):
    """Boots are random in truth: here the first that occurs nowhere."""
    used = s.seen.names | {q.name for q in s.world.processes}
    if s.world.flight:
        used |= {s.world.flight[1].consumer}
    return next(n for n in (identity(p) + b"%x" % boot for boot in range(16)) if n not in used)


def processes(s, *phases):
    for p, proc in enumerate(s.world.processes):
        if proc.phase in phases:
            yield p, proc


def may_fail(s, p, step):
    """The step; and as a fault the same call on a connection that is cut: it may reach Redis at any later time, or never."""
    yield step
    if s.world.faults == 0 or s.world.flight or "cut" not in s.size.kinds or p >= s.size.faulty:
        return
    cut = {"up": "check", "recon": "check", "closing": "off"}

    def after(_):
        proc = s.world.processes[p]
        phase, change = cut.get(proc.phase, proc.phase), {}
        if phase == "off":
            change = {"held": (), "told": False, "name": b""}
        w = s.with_process(p, phase=phase, **change)
        if step.kind.startswith("settle "):
            w = note_sent(w, p, step)
        if step.calls("wake"):
            w = s.with_process(p, phase=phase, told=False)
        dark = w.dark or step.calls("wake") or (phase == "off" and proc.told)
        return w._replace(faults=w.faults - 1, flight=(step.label, step.call, step.kind), dark=dark)

    yield Step(f"{step.label}: connection cut", None, after)


def note_sent(w, p, step):
    proc = w.processes[p]
    job, kind = NUMBER[settled_id(step.call)], step.kind.split()[1]
    held = tuple(h._replace(sent=kind) if h.job == job else h for h in proc.held)
    return w._replace(processes=w.processes[:p] + (proc._replace(held=held),) + w.processes[p + 1:])


# --- producers ------------------------------------------------------------------------------------


def checked_call(job, j, live_ones):
    due = str(NOW + LEASE) if job.how == "delayed" else "0"
    key, window = (UNIQUE_KEY, "1000" if job.window else "0") if job.unique else (b"", "0")
    args = ("1" if job.capped else "0", live_ones, ID[j], state_of(job), str(job.priority), due, item_of(ID[j], j, job.key), key, window, job.unique,
            "1000" if job.once else "0", b"match")
    return Call("enqueue_checked", args)


def state_of(job):
    """The state value of a new job, from the attempt on."""
    detail = b"\x92\xcf" + struct.pack(">Q", NOW + LEASE) + b"\xd9\x00" if job.how == "delayed" else b"\xc0"
    return b"\xce" + bytes(4) + b"\xcd\0\0" + bytes([job.priority]) + b"\xd9\x04noop" + detail


@cache
def enqueue_call(job, j, live_ones="0"):
    if job.unique or job.once or job.capped:
        return checked_call(job, j, live_ones)
    later = job.how == "delayed"
    state, item = state_of(job), item_of(ID[j], j, job.key)
    head = (live_ones, "0" if later else "1", "1" if later else "0")
    if later:
        args = (*head, ID[j], state, str(NOW + LEASE), b"%d" % job.priority + item)
        return Call("enqueue", args, keys=tuple(QUEUE_KEYS[:4]))
    args = (*head, "1", ID[j], state, item)
    return Call("enqueue", args, keys=(*QUEUE_KEYS[:4], PREFIX + b"ready:" + view.PRIORITIES[job.priority]))


def set_job(w, j, state):
    return w._replace(jobs=w.jobs[:j] + (state,) + w.jobs[j + 1:])


TAKEN, KEPT, REPLACED, HELD, FULL, AGAIN = 0, 1, 2, 3, 4, 16  # what enqueue_checked says


def enqueue(s):
    w = s.world
    for j, state in enumerate(w.jobs):
        if state != "new" or (j > 0 and w.jobs[j - 1] == "new" and s.size.jobs[j] == s.size.jobs[j - 1]):
            continue
        if s.size.jobs[j].how == "foreign":
            key = PREFIX + b"ready:" + view.PRIORITIES[s.size.jobs[j].priority]
            call = Call("", ("LPUSH", key, item_of(ID[j], j, s.size.jobs[j].key)))
            yield Step(f"LPUSH job {j}", call, lambda _, j=j: set_job(w, j, "live")._replace(dark=True), "foreign")
        else:
            yield Step(f"enqueue job {j}", enqueue_call(s.size.jobs[j], j), lambda reply, j=j: enqueued(s, j, reply))


def enqueued(s, j, reply):
    """A job that was not taken may come again, unless it is remembered that another one stands for it."""
    if not isinstance(reply, list) or reply[0] == TAKEN:
        return set_job(s.world, j, "live")
    return set_job(s.world, j, "ended") if s.size.jobs[j].once and reply[0] in (KEPT, REPLACED) else s.world


def forget_window(s):
    """A unique key that is held for a time, not for as long as its job lives, runs out."""
    if any(job.window for job in s.size.jobs) and s.seen.uniques:
        yield Step("the unique key runs out", Call("", ("DEL", view.UNIQUE + UNIQUE_KEY)), lambda _: s.world, "time")


# --- consumers ------------------------------------------------------------------------------------


def start(s):
    for p, proc in processes(s, "off"):
        if proc.name == b"" and p < s.size.processes:
            yield Step(f"start {p}", None, lambda _, p=p: s.with_process(p, phase="new", name=fresh_name(s, p)))


def lose(s, p):
    return s.with_process(p, phase="new", name=fresh_name(s, p), held=())


def register(s):
    for p, proc in processes(s, "new"):
        call = Call("register", (proc.name, identity(p), INFO, ACTIVE, str(s.size.give_back)), proc.name)

        def after(reply, p=p):
            return s.world if reply[0] else s.with_process(p, phase="up")

        yield from may_fail(s, p, Step(f"register {proc.name.decode()}", call, after))


def claim(s):
    for job_id, place in s.seen.places.items():
        entry = s.seen.entries.get(job_id)
        more = 1 if entry and entry.state == view.CANCELLED else 0  # it is only recorded then
        if place[0][0] != "active" and s.world.attempts[NUMBER[job_id]] >= s.size.attempts + more:
            return
    for p, proc in processes(s, "up"):
        for n in range(1, s.size.batch + 1):
            call = Call("claim", (proc.name, str(n), ACTIVE), proc.name)

            def after(reply, p=p):
                if reply[0] == 0:
                    return lose(s, p)
                held = list(s.world.processes[p].held)
                for at in range(4, len(reply), 5):
                    job = NUMBER[reply[at]]
                    held = [h for h in held if h.job != job] + [Held(job, reply[at + 1])]
                return s.with_process(p, held=tuple(sorted(held)), told=False)

            yield from may_fail(s, p, Step(f"claim {n} by {proc.name.decode()}", call, after))


DELAY = {"retry": str(LEASE), "again": "0", "release": "0"}


@cache
def settle_args(name, done, others):
    """done: (job, attempt); others: (job, attempt, kind)."""
    args = [name, str(len(done)), *(ID[j] for j, _ in done), *(attempt_bytes(a) for _, a in done)]
    for j, attempt, kind in others:
        args += [ID[j], attempt_bytes(attempt), "release" if kind == "release" else "retry", DELAY[kind], b"\xd9\x01e"]
    return tuple(args)


def settled_id(call):
    return call.args[2]


def settle(s):
    for p, proc in processes(s, "up", "check", "recon"):
        for held in proc.held:
            for kind in [held.sent] if held.sent else s.size.settles:
                job = (held.job, held.attempt)
                args = settle_args(proc.name, (job,), ()) if kind == "done" else settle_args(proc.name, (), ((*job, kind),))

                def after(reply, p=p, held=held):
                    return s.with_process(p, held=tuple(h for h in s.world.processes[p].held if h != held))

                label = f"settle {kind} of job {held.job}, attempt {held.attempt}, by {proc.name.decode()}"
                yield from may_fail(s, p, Step(label, Call("settle", args, proc.name), after, f"settle {kind}"))


def beaten(s, p, reply):
    proc = s.world.processes[p]
    if reply[0] != 1:
        return lose(s, p)
    return s.with_process(p, phase="recon" if proc.phase == "check" or reply[1] > len(proc.held) else "up")


def beat(s):
    for p, proc in processes(s, "up", "check"):
        call = Call("beat", (proc.name, identity(p)), proc.name)
        yield from may_fail(s, p, Step(f"beat of {proc.name.decode()}", call, lambda reply, p=p: beaten(s, p, reply)))


def beat_with_a_look(s):
    """The reaper's look that takes the beat along. Its reply may be lost as those of the two are: that needs no step of its own."""
    for p, proc in processes(s, "up", "check"):
        call = Call("reap", (str(LEASE), str(s.size.give_back), ACTIVE, proc.name, identity(p)))
        yield Step(f"look with the beat of {proc.name.decode()}", call, lambda reply, p=p: looked_at(s, beaten(s, p, reply[4])))


def reconcile(s):
    for p, proc in processes(s, "recon"):
        call = Call("reconcile", (proc.name, str(s.size.give_back), *(ID[h.job] for h in proc.held)), proc.name)

        def after(reply, p=p):
            if reply[0] == 0:
                return lose(s, p)
            return s.world if reply[1] else s.with_process(p, phase="up")

        yield from may_fail(s, p, Step(f"reconcile {proc.name.decode()}", call, after))


def unregister(s):
    for p, proc in processes(s, "up", "check", "closing"):
        call = Call("unregister", (proc.name, str(s.size.give_back)), proc.name)

        def after(reply, p=p, proc=proc):
            if reply[0]:
                w = s.with_process(p, phase="closing", held=(), told=False)
            else:
                w = s.with_process(p, phase="off", name=b"", held=(), told=False)
            return w._replace(dark=w.dark or proc.told)

        yield from may_fail(s, p, Step(f"unregister {proc.name.decode()}", call, after))


def token(s):
    if s.seen.tokens == 0 or not s.size.waits:
        return
    for p, proc in processes(s, "up", "check"):
        if not proc.told:
            step = Step(f"{proc.name.decode()} takes the token", Call("", ("LPOP", PREFIX + b"wake")),
                        lambda _, p=p: s.with_process(p, told=True), "token")
            yield from may_fail(s, p, step)


def wake(s):
    for p, proc in processes(s, "up", "check", "recon", "new"):
        if proc.told:
            step = Step(f"wake by {proc.name.decode()}", Call("wake", (), proc.name), lambda _, p=p: s.with_process(p, told=False))
            yield from may_fail(s, p, step)


# --- what comes from outside ----------------------------------------------------------------------


def looked_at(s, w):
    return w._replace(dark=w.dark and s.seen.paused)


def reap(s):
    yield Step("reap", Call("reap", (str(LEASE), str(s.size.give_back), ACTIVE)), lambda _: looked_at(s, s.world))


def pause(s):
    if s.size.pauses:
        now = "0" if s.seen.paused else "1"
        yield Step("pause" if now == "1" else "resume", Call("pause", (now,)), lambda _: s.world)


def cancel(s):
    for j in range(len(s.world.jobs)) if s.size.cancels else ():
        if ID[j] in s.seen.entries:
            yield Step(f"cancel job {j}", Call("cancel", (ID[j],)), lambda _: s.world)


def limits(s):
    if s.size.limit_moves:
        text = "" if s.seen.limits == s.size.limits.encode() else s.size.limits
        yield Step(f"limits {text!r}", Call("limits", (text,)), lambda _: s.world)


def tick(s):
    yield Step("a lease goes by", Call("!shift", (str(LEASE),)), lambda _: s.world, "time")


def jump(s):
    if "back" in s.size.kinds and s.world.faults:
        yield Step("the clock is set back by a lease", Call("!shift", (str(-LEASE),)),
                   lambda _: s.world._replace(faults=s.world.faults - 1), "time")


def crash(s):
    for p, proc in processes(s, "new", "up", "check", "recon", "closing"):
        if "crash" in s.size.kinds and s.world.faults and p < s.size.faulty:
            def after(_, p=p, proc=proc):
                w = s.with_process(p, phase="off", name=b"", held=(), told=False)
                return w._replace(faults=w.faults - 1, dark=w.dark or proc.told)

            yield Step(f"{proc.name.decode()} dies", None, after)


def deliver(s):
    """What was on its way when its connection was cut arrives; nobody hears the reply."""
    if s.world.flight:
        label, call, kind = s.world.flight
        landed = s.world._replace(flight=None)
        dark = kind == "token" or landed.dark and not (call.script == "reap" and not s.seen.paused)
        yield Step(f"{label}: arrives late", call, lambda _: landed._replace(dark=landed.dark or dark), kind)
        yield Step(f"{label}: lost on the way", None, lambda _: landed)


MOVES = (enqueue, forget_window, start, register, claim, settle, beat, beat_with_a_look, reconcile, unregister, token, wake, reap, pause, cancel, limits, tick, jump,
         crash, deliver)


def steps(s):
    """Once all jobs have ended, and nothing is on its way, nothing can happen to them any more."""
    if s.world.flight is None and all(state == "ended" for state in s.world.jobs):
        return
    for move in MOVES:
        yield from move(s)


# --- what must change nothing ---------------------------------------------------------------------


def probes(size, seen):
    """Calls that must leave everything as it is: (label, Call)."""
    for name in sorted(seen.names | {b"h0:i:0", b"h1:i:0"}):
        stale = [(NUMBER[i], attempt) for i, e in seen.entries.items() for attempt in range(0, size.attempts + 2)
                 if not e.is_held(name, attempt)]
        stale += [(j, 1) for j in range(len(size.jobs)) if ID[j] not in seen.entries]
        others = [(j, a, kind) for j, a in stale for kind in ("retry", "again", "release")]
        yield f"settlements of {name.decode()} of what is not his", Call("settle", settle_args(name, tuple(stale), tuple(others)), name)
        news = [part for j, a in stale for part in (ID[j], attempt_bytes(a), b"\x32", b"\xd9\x00")]
        yield f"progress by {name.decode()} of what is not his", Call("progress", (name, *news), name)


def repeats(s):
    """A job that is live (or of which it is remembered) is enqueued once more by who does not know whether it was. One is cancelled that is not
    there."""
    for j, state in enumerate(s.world.jobs):
        if state == "live" and ID[j] in s.seen.entries or state != "new" and s.size.jobs[j].once:
            yield f"job {j} is enqueued again although it was taken", enqueue_call(s.size.jobs[j], j, "1")
        if s.size.cancels and ID[j] not in s.seen.entries:
            yield f"job {j} is cancelled and is not there", Call("cancel", (ID[j],))


def first_world(size):
    return World(("new",) * len(size.jobs), (0,) * len(size.jobs), (Process(),) * size.processes, size.faults)


def first_state(size):
    fields = ["cap_jobs", str(size.cap)] if size.cap else []
    fields += ["limits", size.limits] if size.limits else []
    keys = [[PREFIX + b"meta", "hash", fields]] if fields else []
    keys += [[WATCH, "string", ["1"]]] if size.watched else []
    return msgpack.packb(keys, use_bin_type=False)
