"""What tests do again and again with a stack: submit, wait for an end, look into Redis and PostgreSQL."""

import json
import re
import time
import urllib.request

import psycopg2
import redis

TERMINAL = ("succeeded", "dead", "cancelled", "expired")
WAIT_S = 60
SAMPLE = re.compile(r"^(\w+)(?:\{([^}]*)\})? ([-+.eE0-9]+)$", re.M)


class Client:
    def __init__(self, stack):
        self.stack = stack
        self.excused = []  # exit codes that a test has caused on purpose
        self.keyed, self.probes = None, set()

    # --- HTTP

    def submit(self, job):
        status, _, body = self.stack.post_json("/v1/jobs", job)
        assert status == 202, (status, body)
        return body["id"]

    def noop(self, **args):
        return self.submit({"type": "noop", "args": args})

    def job(self, job_id):
        status, _, body = self.stack.get(f"/v1/jobs/{job_id}")
        return json.loads(body) if status == 200 else None

    def upload(self, data):
        status, _, body = self.stack.request("POST", "/v1/uploads", data)
        assert status == 201, (status, body)
        return json.loads(body)["id"]

    def knows_keys(self):
        """Whether the API takes one Idempotency-Key for one job."""
        if self.keyed is None:
            asked = [self.stack.post_json("/v1/jobs", {"type": "noop", "args": {}}, {"idempotency-key": "the-same-twice"})[2]["id"] for _ in "ab"]
            self.keyed = asked[0] == asked[1]
            self.probes = set(asked)
        return self.keyed

    # --- waiting: for an event that the product makes, with a limit that only a broken one reaches

    def until(self, check, what="the event", timeout_s=WAIT_S):
        end = time.monotonic() + timeout_s
        while True:
            value = check()
            if value:
                return value
            assert time.monotonic() < end, f"{what() if callable(what) else what} has not come within {timeout_s} s"
            time.sleep(0.01)

    def ended(self, job_id, timeout_s=WAIT_S):
        """The job once it has ended."""
        def look():
            job = self.job(job_id)
            return job if job and job["state"] in TERMINAL else None
        return self.until(look, f"the end of job {job_id}", timeout_s)

    def state(self, job_id, *states):
        """The job once it is in one of the states."""
        def look():
            job = self.job(job_id)
            return job if job and job["state"] in states else None
        return self.until(look, f"job {job_id} in {states}")

    # --- the API's process

    def metric(self, name, **labels):
        """The value of one sample of /metrics."""
        status, _, body = self.stack.get("/metrics")
        assert status == 200, (status, body)
        wanted = name + ("{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}" if labels else "")
        for line in body.decode().splitlines():
            if line.startswith(wanted + " "):
                return float(line.rsplit(" ", 1)[1])
        raise AssertionError(f"no {wanted} in /metrics")

    def worker_samples(self, instance="1"):
        """What a worker's own /metrics say: {(name, labels as written): value}."""
        port = self.events(f"worker-{instance}", "metrics.listening")[-1]["port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=WAIT_S) as answer:
            assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
            text = answer.read().decode()
        return {(name, labels): float(value) for name, labels, value in SAMPLE.findall(text)}

    def connections(self):
        """How many clients the API holds, beside the one that asks."""
        return int(self.metric("millrace_http_connections")) - 1

    def memory(self, field="VmRSS"):
        """Bytes: VmRSS now, VmHWM at most so far."""
        with open(f"/proc/{self.stack.api.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
        raise AssertionError(field)

    def sanitized(self):
        """Whether the programs carry a sanitizer, whose own memory says nothing about theirs."""
        program = (self.stack.build / "millrace-api").read_bytes()
        return b"__asan_init" in program or b"__tsan_init" in program

    # --- PostgreSQL

    def rows(self, sql, *args):
        with psycopg2.connect(self.stack.pg.url) as db, db.cursor() as cursor:
            cursor.execute(sql, args)
            return cursor.fetchall()

    def row(self, job_id):
        rows = self.rows("select state, attempt, error, error_text from job_list where id = %s", job_id)
        return rows[0] if rows else None

    # --- Redis

    @property
    def redis(self):
        return redis.Redis(unix_socket_path=str(self.stack.redis.socket))

    def leftovers(self):
        """Keys that hold jobs: empty when all queues are quiet."""
        r = self.redis
        return {k.decode(): r.type(k).decode() for k in r.keys("mr:{*}:*")
                if any(part in k for part in (b":ready:", b":active:", b":delayed", b":state", b":parked:", b":slots"))}

    def quiet(self, timeout_s=WAIT_S):
        """Waits until nothing is queued, running or delayed."""
        self.until(lambda: not self.leftovers(), "quiet queues", timeout_s)

    # --- files and logs

    def files(self, *parts):
        base = self.stack.dir.joinpath(*parts)
        return sorted(p for p in base.rglob("*") if p.is_file() and not p.name.endswith((".lock", ".flight")))

    def log(self, name):
        path = self.stack.dir / "log" / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def events(self, name, event):
        """The log's lines of that event, parsed."""
        found = []
        for number, line in enumerate(self.log(name).splitlines()):
            if line.startswith("{") and line.endswith("}") and f'"{event}"' in line:
                entry = json.loads(line)
                if entry.get("event") == event:
                    found.append({**entry, "line": number})
        return found
