"""What must hold after any fault, checked against what was acknowledged. Every fault test ends with it."""

import hashlib
import os
from pathlib import Path

import msgpack

TERMINAL = {"succeeded", "dead", "cancelled", "expired"}


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


def tag_of(item):
    """The load's tag in an envelope (support/load.py)."""
    job = msgpack.unpackb(bytes(item), strict_map_key=False)
    if job["type"] == "noop":
        return job["args"].get("payload")
    return next((f["args"].get("payload") for f in job.get("then", []) if f["type"] == "noop"), None)


class Base:
    """How the processes stand when nothing happens: taken before the fault."""

    def __init__(self, stack):
        self.api = descriptors(stack.api.pid)
        self.workers = {name: (descriptors(w.pid), len(children(w.pid))) for name, w in stack.workers.items()}


def settled_down(stack, base):
    if stack.api and descriptors(stack.api.pid) > base.api:
        return False
    for name, w in stack.workers.items():
        # A worker of another name stands as the first one did.
        fds, kids = base.workers.get(name, next(iter(base.workers.values())))
        if w.alive() and (descriptors(w.pid) > fds or len(children(w.pid)) != kids):
            return False
    return True


def check_rows(stack, loads, crashes, known):
    rows = stack.client.rows("select j.id::text, l.state, j.attempt, j.max_attempts, j.parent::text, j.item"
                             " from jobs j join job_list l on l.id = j.id")
    by_id = {r[0]: r for r in rows}
    acked = {i: t for load in loads for i, t in load.acked.items()}
    sent = {t for load in loads for t in load.sent}
    assert len(by_id) == len(rows), "one row a job"
    missing = [i for i in acked if i not in by_id]
    assert not missing, f"acknowledged and lost: {missing[:5]} and {max(0, len(missing) - 5)} more"
    for job_id, state, attempt, most, parent, item in rows:
        assert state in TERMINAL, (job_id, state)
        assert attempt <= most + crashes, f"{job_id}: attempt {attempt} of {most}, {crashes} crashes"
        if parent is not None:
            assert parent in by_id, f"{job_id} follows {parent}, which has no row"
        else:
            assert job_id in acked or job_id in known or tag_of(item) in sent, f"{job_id} is nobody's"
    for job_id, tag in acked.items():
        assert tag_of(by_id[job_id][5]) == tag, f"{job_id} is another job than was acknowledged"
    followed = {}
    for job_id, _, _, _, parent, _ in rows:
        followed.setdefault(parent, []).append(job_id)
    for job_id, _, _, _, _, item in rows:
        asked = len(msgpack.unpackb(bytes(item)).get("then", []))
        assert len(followed.get(job_id, [])) == asked, f"{job_id}: {len(followed.get(job_id, []))} of {asked} follow-ups"
    return by_id


def check_files(stack):
    assert not stack.client.files("spool"), "strays in the spool directory"
    blobs = stack.dir / "blobs"
    assert not list(blobs.rglob("*.part")), "unfinished uploads"
    outputs = stack.client.rows("select file, encode(sha256, 'hex'), bytes from outputs")
    for file, sha256, size in outputs:
        data = (blobs / file).read_bytes()
        assert len(data) == size and hashlib.sha256(data).hexdigest() == sha256, file
    named = {file for file, _, _ in outputs}
    there = {p.relative_to(blobs).as_posix() for p in blobs.rglob("*") if p.is_file() and p.parent.name != "uploads"}
    assert there == named, f"files without a row: {sorted(there - named)[:5]}"


def audit(stack, loads, base, crashes=0, known=(), state="succeeded", timeout_s=90):
    """Waits until all is quiet, then checks. known: ids of jobs that came in some other way."""
    loads = loads if isinstance(loads, (list, tuple)) else [loads]
    client = stack.client
    client.quiet(timeout_s)
    rows = check_rows(stack, loads, crashes, set(known))
    if state:
        other = [r[:3] for r in rows.values() if r[1] != state]
        assert not other, f"not {state}: {other[:5]}"
    check_files(stack)
    client.until(lambda: settled_down(stack, base), "descriptors and children as before")
    for worker in stack.workers:
        assert "must(" not in client.log(f"worker-{worker}")
    return rows
