"""What must hold after any fault, checked against what was acknowledged. Every fault test ends with it.

    audit(stack, loads, base)      waits until all is quiet, gathers the facts, judges them; raises with all that is broken

Facts are plain data and judge() is a function of them, so that a test can doctor them: an audit that cannot fail says nothing.
The invariants are those of the design:

    I1  a job whose 202 was sent ends in exactly one terminal row      I5  the same Idempotency-Key never makes two jobs
    I2  a terminal state never changes                                 I6  once quiet all is back where it was
    I3  attempts stay within the limit                                 I7  an attempt that lost its lease applies nothing
    I4  no row and no file without a known job                         I8  all queues drain
"""

import collections
import hashlib
import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgpack

TERMINAL = {"succeeded", "dead", "cancelled", "expired"}
LATE_S = 15  # after it was due and taken; a figure that is shown, not a promise
RESIDENT_SLACK = 32 << 20


# --- processes

def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def children(pid):
    """Pids of the living children of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(p) for p in (task / "children").read_text().split()]
    return found


def resident(pid):
    """VmRSS in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def stand(process, kids=True):
    return {"fds": descriptors(process.pid), "children": len(children(process.pid)) if kids else 0, "rss": resident(process.pid)}


class Base:
    """How the processes stand when nothing happens: taken before the fault."""

    def __init__(self, stack):
        stack.client.knows_keys()
        stack.client.quiet()
        self.api = stand(stack.api, kids=False)
        self.workers = {name: stand(w) for name, w in stack.workers.items()}

    def of_worker(self, name):
        """A worker of another name stands as the first one did."""
        return self.workers.get(name, next(iter(self.workers.values())))


def strays(stack, base):
    """What of the living daemons is not back where it was: texts."""
    found = []
    pairs = [(f"worker {n}", w, base.of_worker(n)) for n, w in stack.workers.items() if w.alive()]
    if stack.api and stack.api.alive():
        pairs.append(("API", stack.api, base.api))
    for name, process, before in pairs:
        now = stand(process, kids=name != "API")
        if now["fds"] > before["fds"]:
            found.append(f"{name}: {now['fds']} descriptors, {before['fds']} before")
        if now["children"] != before["children"]:
            found.append(f"{name}: {now['children']} children, {before['children']} before")
        if not stack.client.sanitized() and now["rss"] > before["rss"] + RESIDENT_SLACK:
            found.append(f"{name}: {now['rss'] >> 20} MiB resident, {before['rss'] >> 20} before")
    return found


def consumers_off(stack):
    """Consumers that Redis knows and no living worker is, and the other way round: texts."""
    r, found = stack.client.redis, []
    living = {name for name, w in stack.workers.items() if w.alive()}
    for key in r.keys("mr:{*}:consumers"):
        names = [n.decode().split(":")[1] for n in r.zrange(key, 0, -1)]
        if sorted(names) != sorted(living):
            found.append(f"{key.decode()} holds {sorted(names)}, alive are {sorted(living)}")
        if r.hlen(key.replace(b":consumers", b":workers")) != len(names):
            found.append(f"{key.decode()} and its workers differ")
    return found


# --- facts

@dataclass
class Row:
    id: str
    state: str
    attempt: int
    max_attempts: int
    parent: str
    item: bytes
    finished: float
    worker: str = ""


@dataclass
class Facts:
    """What was asked for (acked to expected), and what came of it."""

    acked: dict = field(default_factory=dict)       # id -> tag
    sends: dict = field(default_factory=dict)       # tag -> how often it left
    due: dict = field(default_factory=dict)         # id -> Unix time at which it was taken and due
    expected: dict = field(default_factory=dict)    # tag -> terminal state; None: any
    known: set = field(default_factory=set)         # ids of jobs that came in some other way
    keyed: bool = False                             # the API knows Idempotency-Keys
    crashes: int = 0
    rows: list = field(default_factory=list)
    earlier: dict = field(default_factory=dict)     # id -> (state, attempt, finished) of terminal rows seen before
    attempts: list = field(default_factory=list)    # (job id, attempt, outcome, worker, Unix time of its commit)
    lost: dict = field(default_factory=dict)        # consumer -> Unix time at which it knew that its lease was lost
    outputs: list = field(default_factory=list)     # (job id, file, sha256 in hex, bytes)
    files: dict = field(default_factory=dict)       # file below the blob directory -> (sha256, bytes)
    unfinished: list = field(default_factory=list)  # half uploads, files in the spool directory
    leftovers: dict = field(default_factory=dict)   # Redis keys that hold jobs
    strays: list = field(default_factory=list)      # descriptors, children, memory, consumers
    deliveries: list = field(default_factory=list)  # job ids of webhooks as they came
    errors: list = field(default_factory=list)      # failed must(), sanitizer reports


def tag_of(item):
    """The load's tag in an envelope (support/load.py)."""
    job = msgpack.unpackb(bytes(item), strict_map_key=False)
    if job["type"] == "noop":
        return job["args"].get("payload")
    return next((f["args"].get("payload") for f in job.get("then", []) if f["type"] == "noop"), None)


def follow_ups_due(row):
    job = msgpack.unpackb(bytes(row.item), strict_map_key=False)
    ends = {"success": row.state == "succeeded", "failure": row.state != "succeeded", "always": True}
    return sum(ends[f.get("on", "always")] for f in job.get("then", []))


class Verdict:
    def __init__(self, facts):
        self.facts, self.broken = facts, []
        self.counts = collections.Counter()

    def breach(self, invariant, text):
        self.broken.append(f"{invariant}: {text}")

    def each(self, invariant, text, found):
        """Broken if anything was found; names a few."""
        found = list(found)
        if found:
            self.breach(invariant, f"{text}: {found[:5]}" + (f" and {len(found) - 5} more" if len(found) > 5 else ""))
        return len(found)

    def __str__(self):
        words = ("acknowledged", "unknown", "lost", "duplicated", "repeated effects", "late")
        return ", ".join(f"{self.counts[w]} {w}" for w in words)


def judge(facts):
    """Everything that is broken, and the counts."""
    v = Verdict(facts)
    by_id = {r.id: r for r in facts.rows}
    judge_rows(v, facts, by_id)
    judge_tags(v, facts, by_id)
    judge_follow_ups(v, facts, by_id)
    judge_attempts(v, facts, by_id)
    judge_files(v, facts, by_id)
    judge_deliveries(v, facts, by_id)
    v.each("I8", "jobs that are still there", facts.leftovers.items())
    v.each("I6", "left over", facts.unfinished + facts.strays)
    v.each("I6", "reported by the programs", facts.errors)
    return v


def judge_rows(v, facts, by_id):
    v.counts["acknowledged"] = len(facts.acked)
    v.counts["lost"] = v.each("I1", "acknowledged and lost", (i for i in facts.acked if i not in by_id))
    if len(by_id) != len(facts.rows):
        v.breach("I1", "a job has two rows")
    v.each("I1", "not terminal", ((r.id, r.state) for r in facts.rows if r.state not in TERMINAL))
    wanted = ((i, facts.expected.get(t), by_id[i].state) for i, t in facts.acked.items() if i in by_id)
    v.each("I1", "another end than it had to come to", (w for w in wanted if w[1] and w[1] != w[2]))
    now = {r.id: (r.state, r.attempt, r.finished) for r in facts.rows}
    v.each("I2", "changed after its end", ((i, was, now.get(i)) for i, was in facts.earlier.items() if now.get(i) != was))
    v.each("I3", "more attempts than allowed",
           ((r.id, r.attempt, r.max_attempts) for r in facts.rows if r.attempt > r.max_attempts + facts.crashes))
    ends = ((i, by_id[i].finished - due) for i, due in facts.due.items() if i in by_id)
    v.counts["late"] = sum(1 for _, s in ends if s > LATE_S)


def judge_tags(v, facts, by_id):
    """Jobs of the load are told by their tags: as many rows as sends at most, one for each acknowledgement."""
    made = collections.Counter()
    for r in facts.rows:
        if r.parent is not None or r.id in facts.known:
            continue
        tag = tag_of(r.item)
        made[tag] += 1
        if tag not in facts.sends:
            v.breach("I4", f"{r.id} is nobody's")
    for job_id, tag in facts.acked.items():
        if job_id in by_id and tag_of(by_id[job_id].item) != tag:
            v.breach("I1", f"{job_id} is another job than was acknowledged")
    v.each("I5", "taken more often than sent", ((t, n, facts.sends[t]) for t, n in made.items() if n > facts.sends.get(t, n)))
    if facts.keyed:
        v.each("I5", "one key, several jobs", ((t, n) for t, n in made.items() if n > 1))
    v.counts["unknown"] = sum(facts.sends.values()) - len(facts.acked)
    v.counts["duplicated"] = sum(n - 1 for n in made.values() if n > 1)


def judge_follow_ups(v, facts, by_id):
    followed = collections.Counter(r.parent for r in facts.rows)
    v.each("I4", "follows a job without a row", (r.id for r in facts.rows if r.parent is not None and r.parent not in by_id))
    v.each("I1", "another number of follow-ups than was due",
           ((r.id, followed[r.id], follow_ups_due(r)) for r in facts.rows if followed[r.id] != follow_ups_due(r)))


def judge_attempts(v, facts, by_id):
    v.each("I4", "attempts of no known job", (a[:2] for a in facts.attempts if a[0] not in by_id))
    v.each("I3", "an attempt after the last one",
           (a[:2] for a in facts.attempts if a[0] in by_id and a[1] > by_id[a[0]].attempt))
    newest = {}
    for job_id, attempt, _, _, _ in sorted(facts.attempts, key=lambda a: a[4]):
        if attempt < newest.get(job_id, 0):
            v.breach("I7", f"attempt {attempt} of {job_id} was written after attempt {newest[job_id]}")
        newest[job_id] = max(attempt, newest.get(job_id, 0))
    v.each("I7", "written after its lease was lost",
           ((a[0], a[1], a[3]) for a in facts.attempts if a[3] in facts.lost and a[4] > facts.lost[a[3]]))


def judge_files(v, facts, by_id):
    v.each("I4", "files without a row", sorted(set(facts.files) - {o[1] for o in facts.outputs}))
    v.each("I4", "outputs of no known job", (o[:2] for o in facts.outputs if o[0] not in by_id))
    v.each("I1", "outputs whose file is missing or another",
           (o[:2] for o in facts.outputs if facts.files.get(o[1]) != (o[2], o[3])))


def judge_deliveries(v, facts, by_id):
    came = collections.Counter(facts.deliveries)
    hooks = {r.id: r for r in facts.rows if msgpack.unpackb(bytes(r.item), strict_map_key=False)["type"] == "webhook"}
    v.each("I4", "deliveries of no known job", (i for i in came if i not in hooks))
    if facts.deliveries:
        v.each("I1", "succeeded and was never delivered", (i for i, r in hooks.items() if r.state == "succeeded" and not came[i]))
    v.each("I3", "delivered more often than attempted",
           ((i, n, hooks[i].attempt) for i, n in came.items() if i in hooks and hooks[i].parent is None and n > hooks[i].attempt))
    v.counts["repeated effects"] = sum(n - 1 for n in came.values() if n > 1)


# --- gathering

def unix(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def terminal_rows(client):
    rows = client.rows("select id::text, state, attempt, extract(epoch from finished_at)::float8 from job_list where state <> 'retrying'")
    return {r[0]: tuple(r[1:]) for r in rows}


def lost_leases(stack, workers):
    """Consumer names and when their worker knew that their lease was lost, from its log."""
    found = {}
    for worker in workers:
        name_of = {}
        for e in sorted(stack.client.events(worker, "consumer.ready") + stack.client.events(worker, "consumer.lost"), key=lambda e: e["line"]):
            if e["event"] == "consumer.ready":
                name_of[e["queue"]] = e["name"]
            elif e["queue"] in name_of:
                found[name_of[e["queue"]]] = unix(e["time"])
    return found


def digest(path):
    data = path.read_bytes()
    return hashlib.sha256(data).hexdigest(), len(data)


def gather(stack, loads, base, crashes, known, states, earlier, receiver, in_flight):
    client, blobs = stack.client, stack.dir / "blobs"
    facts = Facts(known={*known, *client.probes}, crashes=crashes, earlier=earlier, leftovers=client.leftovers(), keyed=client.knows_keys())
    for load in loads:
        facts.acked.update(load.acked)
        facts.sends.update(load.sends)
        facts.due.update({i: max(load.due[t], load.acked_at[i]) for i, t in load.acked.items()})
        facts.expected.update(load.expected if states else {})
    facts.rows = [Row(*r) for r in client.rows(
        "select j.id::text, l.state, j.attempt, j.max_attempts, j.parent::text, j.item, extract(epoch from j.finished_at)::float8,"
        " j.worker from jobs j join job_list l on l.id = j.id")]
    facts.attempts = client.rows("select job_id::text, attempt, outcome, worker,"
                                 " extract(epoch from pg_xact_commit_timestamp(xmin))::float8 from attempts")
    facts.outputs = client.rows("select job_id::text, file, encode(sha256, 'hex'), bytes from outputs")
    facts.files = {p.relative_to(blobs).as_posix(): digest(p) for p in blobs.rglob("*") if p.is_file() and p.parent.name != "uploads"}
    facts.unfinished = [str(p) for p in [*client.files("spool"), *blobs.rglob("*.part")]]
    facts.strays = strays(stack, base) + consumers_off(stack)
    facts.deliveries = [g["headers"]["webhook-id"] for g in receiver.got] if receiver else []
    workers = sorted(p.stem for p in stack.dir.glob("log/worker-*.log"))
    facts.lost = {} if in_flight else lost_leases(stack, workers)
    facts.errors = [w for w in (*workers, "api") if "must(" in client.log(w)]
    return facts


def audit(stack, loads, base, crashes=0, known=(), states=True, timeout_s=90, earlier=None, receiver=None, in_flight=False, say=print):
    """known: ids of jobs that came in some other way. states: the load's jobs have to end as it expects. earlier: terminal rows as
    terminal_rows() gave them at some time before. in_flight: rows may have been on their way to PostgreSQL, held up, when a lease was
    lost. Prints one line; gives the rows by id."""
    loads = loads if isinstance(loads, (list, tuple)) else [loads]
    client = stack.client
    client.quiet(timeout_s)
    earlier = {**(earlier or {}), **terminal_rows(client)}
    client.until(lambda: not strays(stack, base) and not consumers_off(stack), timeout_s=60,
                 what=lambda: f"I6: {strays(stack, base) + consumers_off(stack)}, as before,")
    verdict = judge(gather(stack, loads, base, crashes, known, states, earlier, receiver, in_flight))
    say(f"audit: {verdict}")
    assert not verdict.broken, "\n".join(verdict.broken)
    return {r.id: r for r in verdict.facts.rows}
