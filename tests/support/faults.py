"""What the fault tests and the chaos run are made of: loads of every kind of job, a stack whose connections run through relays,
and the things that can be done to its processes."""

import itertools
import os
import signal
import struct
import subprocess
from pathlib import Path

from support.audit import Base, children
from support.pictures import plain_png
from support.proxy import Proxy

# Short times, so that a test of a lease or a retry does not wait for seconds.
QUICK = {"BEAT": "200ms", "LEASE": "1s", "RETRY_BASE": "20ms", "RETRY_CAP": "200ms", "DRAIN": "10s", "RENDERERS": "2",
         "OUTGOING_ALLOW": "127.0.0.0/8,::1"}
LONG = {"LEASE": "10m", "BEAT": "1s"}  # so long that nothing which happens here can be the lease's doing
TRIES = 50  # where failed attempts are not what is looked at


# --- loads

def picture_job(upload, n):
    return {"type": "image", "max_attempts": TRIES, "args": {
        "source": {"upload": upload},
        "outputs": [{"name": "a", "ops": [{"resize": {"width": 100 + n % 7}}], "format": "webp"},
                    {"name": "b", "ops": [{"resize": {"width": 30 + n % 5}}], "format": "jpeg"}]}}


def mixed(upload, n):
    """Plain jobs, jobs that take a while, jobs that fail first, jobs with follow-ups, and pictures."""
    for i in range(n):
        kind = i % 5
        if kind == 0:
            yield {"type": "noop", "args": {}, "max_attempts": TRIES}
        elif kind == 1:
            yield {"type": "noop", "args": {"work_ms": 40}, "max_attempts": TRIES}
        elif kind == 2:
            yield {"type": "noop", "args": {"fail_attempts": 1}, "max_attempts": TRIES}
        elif kind == 3:
            yield {"type": "noop", "args": {}, "max_attempts": TRIES, "then": [{"type": "noop", "args": {"payload": "follower"}}]}
        else:
            yield picture_job(upload, i)


def mixed_quick(n):
    for i in range(n):
        job = {"type": "noop", "args": {"work_ms": 20} if i % 3 else {}, "max_attempts": TRIES}
        yield {**job, "then": [{"type": "noop", "args": {"payload": "follower"}}]} if i % 4 == 0 else job


def everything(upload, hook, n=None):
    """All of it: also delayed jobs, jobs that must end dead, and webhooks."""
    for i in itertools.count() if n is None else range(n):
        kind = i % 8
        if kind == 5:
            yield {"type": "noop", "args": {}, "max_attempts": TRIES, "delay_ms": 300}
        elif kind == 6:
            yield {"type": "noop", "args": {"fail_attempts": 99, "fail_final": True}, "max_attempts": TRIES, "expect": "dead"}
        elif kind == 7:
            yield {"type": "webhook", "args": {"url": hook, "body": {"n": i}}, "max_attempts": TRIES}
        else:
            yield from itertools.islice(mixed(upload, 5), kind, kind + 1)


# --- stacks

def warm(stack, upload=None):
    """One job of each kind, so that descriptors and renderers stand as they will. Gives their ids."""
    c = stack.client
    ids = [c.noop()]
    if upload:
        ids.append(c.submit(picture_job(upload, 0)))
    for i in ids:
        c.ended(i)
    return ids


def ready(stacks, start=None, **config):
    """A stack with everything warmed up: (stack, upload, ids so far, base)."""
    s = stacks(start=start is None, **config)
    if start:
        start(s)
    upload = s.client.upload(plain_png(320, 240))
    known = warm(s, upload)
    s.client.quiet()
    return s, upload, known, Base(s)


class Relays:
    """The connections of a stack, each kind through a relay of its own: API to Redis, workers to Redis, both to PostgreSQL,
    clients to the API. Made before the stack starts:

        relays = Relays()
        stack, upload, known, base = ready(stacks, start=relays.start)
    """

    def __init__(self):
        self.api_redis = self.redis = self.pg = self.http = None

    def start(self, stack):
        self.api_redis, self.redis = Proxy(stack.redis.socket, resp=True), Proxy(stack.redis.socket, resp=True)
        self.pg = Proxy(stack.pg.socket_dir / ".s.PGSQL.5432")
        stack.config["PG_URL"] = f"host=127.0.0.1 port={self.pg.port} dbname=millrace user=millrace"
        stack.start_services()
        stack.config["REDIS_URL"] = f"redis://127.0.0.1:{self.redis.port}"
        stack.start_api(REDIS_URL=f"redis://127.0.0.1:{self.api_redis.port}")
        self.http = Proxy(("127.0.0.1", int(stack.url.rsplit(":", 1)[1])))
        stack.start_worker()
        stack.client.until(lambda: stack.get("/readyz")[0] == 200, "readiness")

    def add(self, name, stack):
        """One more to Redis."""
        setattr(self, name, Proxy(stack.redis.socket, resp=True))

    def all(self):
        return [p for p in vars(self).values() if p]

    def heal(self):
        for proxy in self.all():
            proxy.heal()

    def close(self):
        for proxy in self.all():
            proxy.close()


# --- processes

def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def kill(stack, name="1"):
    worker = stack.workers[name]
    kids = children(worker.pid)
    assert worker.stop(signal.SIGKILL) == -signal.SIGKILL
    del stack.workers[name]
    stack.client.until(lambda: all(is_gone(k) for k in kids), "the end of its renderers")


def kill_api(stack):
    assert stack.api.stop(signal.SIGKILL) == -signal.SIGKILL
    stack.api = None


def family(pid):
    """A process and all that came from it."""
    found = [pid]
    for one in found:
        try:
            found += children(one)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def signal_family(process, number):
    for pid in family(process.pid):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def freeze(process):
    signal_family(process, signal.SIGSTOP)


def thaw(process):
    signal_family(process, signal.SIGCONT)


def kill_postgres(stack):
    """kill -9 to all of it, as the out-of-memory killer may: nothing is flushed, nobody says goodbye."""
    process = stack.pg.process
    for pid in family(process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()
    stack.pg.process = None


def claimed(stack, queue="default"):
    """How many jobs of a queue are claimed and not settled."""
    r = stack.client.redis
    return sum(r.hlen(k) for k in r.keys(f"mr:{{{queue}}}:active:*"))


# --- small disks

class SmallDisk:
    """A tmpfs of that size; its directory holds what was in it before. Only root may mount one."""

    def __init__(self, directory, size):
        self.directory, self.filler = directory, directory / "filler"
        directory.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "millrace-test", str(directory)],
                              capture_output=True, text=True, check=False)
        self.why_not = done.stderr.strip()
        self.mounted = done.returncode == 0

    def fill(self):
        fd = os.open(self.filler, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            while True:
                os.write(fd, bytes(4096))
        except OSError:
            pass  # it is full
        finally:
            os.close(fd)

    def free(self):
        self.filler.unlink(missing_ok=True)

    def close(self):
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.directory)], check=False)
            self.mounted = False


# --- clocks

class Clock:
    """The wall clock of processes that start with environment(): jump() moves it while they run, the monotonic one stays."""

    def __init__(self, directory):
        self.file, self.library = directory / "shift", directory / "wall_clock.so"
        source = Path(__file__).parent / "wall_clock.c"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", str(source), "-o", str(self.library)], check=True)
        self.file.write_bytes(bytes(8))

    def jump(self, seconds):
        with open(self.file, "r+b") as f:
            f.write(struct.pack("=q", seconds))

    def environment(self):
        """Sanitizers are content with a library before theirs, if told so."""
        options = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))
        return {"LD_PRELOAD": str(self.library), "MILLRACE_WALL_CLOCK": str(self.file), "ASAN_OPTIONS": options}
