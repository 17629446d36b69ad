"""The worker as its users see it: outcomes, queues, draining, configuration, metrics, the schema."""

import socket
import subprocess
import tempfile
import time

import pytest

from stack import Process


def attempts_of(job):
    return [(a["attempt"], a["outcome"]) for a in sorted(job["attempts"], key=lambda a: a["attempt"])]


# --- outcomes

def test_a_job_that_succeeds_has_one_attempt(stack):
    job = stack.client.ended(stack.client.noop(payload={"any": ["thing", 1, None]}))
    assert job["state"] == "succeeded" and job["attempt"] == 1
    assert attempts_of(job) == [(1, "succeeded")]
    assert job.get("error") is None


def test_a_noop_job_tells_when_it_was_started(stack):
    before = time.monotonic_ns() // 1000
    job = stack.client.ended(stack.client.noop(clock=True))
    assert before <= job["result"]["started_us"] <= time.monotonic_ns() // 1000


def test_a_job_that_fails_twice_succeeds_at_the_third_attempt(stack):
    job = stack.client.ended(stack.client.noop(fail_attempts=2))
    assert job["state"] == "succeeded" and job["attempt"] == 3
    assert attempts_of(job) == [(1, "retrying"), (2, "retrying"), (3, "succeeded")]
    first = min(job["attempts"], key=lambda a: a["attempt"])
    assert first["error"] == "BUSY" and first["error_text"] == "asked to fail"


def test_a_job_without_attempts_left_is_dead(stack):
    job = stack.client.ended(stack.client.submit({"type": "noop", "args": {"fail_attempts": 9}, "max_attempts": 2}))
    assert job["state"] == "dead" and job["error"] == "BUSY" and job["error_text"] == "asked to fail"
    assert attempts_of(job) == [(1, "retrying"), (2, "dead")]


def test_a_final_failure_is_dead_at_once(stack):
    job = stack.client.ended(stack.client.noop(fail_final=True))
    assert job["state"] == "dead" and job["error"] == "REJECTED"
    assert attempts_of(job) == [(1, "dead")]


def test_timeout_ms_ends_an_attempt(stack):
    job = stack.client.ended(stack.client.submit(
        {"type": "noop", "args": {"work_ms": 60000}, "timeout_ms": 100, "max_attempts": 2}))
    assert job["state"] == "dead" and job["error"] == "TIMEOUT" and "timeout_ms 100" in job["error_text"]
    assert attempts_of(job) == [(1, "retrying"), (2, "dead")]


def test_a_job_is_shown_running_and_retrying_on_its_way(stacks):
    stack = stacks(RETRY_BASE="2s", RETRY_CAP="2s")
    c = stack.client
    running = c.noop(work_ms=700)
    assert c.state(running, "running")["attempt"] == 1
    retrying = c.noop(fail_attempts=1)
    assert c.state(retrying, "retrying")["error_text"] == "asked to fail"
    assert c.row(retrying)[0] == "retrying"
    assert c.ended(running)["state"] == c.ended(retrying)["state"] == "succeeded"
    c.quiet()


def test_priority_comes_first_and_equals_in_order(stacks):
    stack = stacks(start=False, QUEUES="default=1")
    stack.start_services()
    stack.start_api()
    ids = [stack.client.submit({"type": "noop", "args": {}, "priority": p})
           for p in ("low", "normal", "critical", "normal", "high")]
    stack.start_worker()
    stack.client.quiet()
    rows = stack.client.rows("select id::text from job_list order by started_at, id")
    ends = [r[0] for r in rows]
    assert [ids.index(i) for i in ends] == [2, 4, 1, 3, 0]


# --- queues

def test_a_worker_serves_the_queues_it_is_told(stacks):
    stack = stacks(QUEUES="default,slow,media.eu")
    c = stack.client
    mine = [c.submit({"type": "noop", "args": {}, "queue": q}) for q in ("default", "slow", "media.eu")]
    other = c.submit({"type": "noop", "args": {}, "queue": "elsewhere"})
    assert {c.ended(i)["queue"] for i in mine} == {"default", "slow", "media.eu"}
    assert c.job(other)["state"] == "queued"
    c.stack.start_worker("2", QUEUES="elsewhere")
    assert c.ended(other)["state"] == "succeeded"


def test_slots_bound_what_is_in_flight(stacks):
    stack = stacks(QUEUES="default=3,notify")
    c = stack.client
    ids = [c.noop(work_ms=150) for _ in range(12)]
    most = 0
    while c.leftovers():
        active = [k for k in c.redis.keys("mr:{default}:active:*")]
        most = max([most, *[c.redis.hlen(k) for k in active]])
    assert most == 3
    assert {c.ended(i)["state"] for i in ids} == {"succeeded"}


# --- draining

def test_a_drain_lets_running_jobs_finish(stacks):
    stack = stacks()
    c = stack.client
    ids = [c.noop(work_ms=1500) for _ in range(5)]
    for i in ids:
        c.state(i, "running")
    late = stack.workers["1"]
    late.ask()
    assert late.wait() == 0
    rows = c.rows("select state, attempt from job_list")
    assert rows == [("succeeded", 1)] * 5
    assert not c.leftovers()
    assert c.events("worker-1", "worker.draining")[0]["jobs"] == 5


def test_what_outlasts_the_drain_goes_back_and_costs_no_attempt(stacks):
    stack = stacks(DRAIN="300ms")
    c = stack.client
    job = c.submit({"type": "noop", "args": {"work_ms": 60000}, "max_attempts": 1, "timeout_ms": 80000})
    short = c.submit({"type": "noop", "args": {"work_ms": 4000}, "max_attempts": 1})
    c.state(job, "running")
    c.state(short, "running")
    worker = stack.workers["1"]
    worker.ask()
    assert worker.wait() == 0
    live = c.job(short)
    assert live["state"] == "queued" and live["attempt"] == 1 and live["excused_attempts"] == 1
    assert c.row(short) is None, "an attempt that was not finished writes no row"
    stack.start_worker("2")
    done = c.ended(short)
    assert done["state"] == "succeeded" and done["attempt"] == 2
    assert c.job(job)["state"] == "running"


def test_nothing_new_is_taken_while_draining(stacks):
    stack = stacks()
    c = stack.client
    first = c.noop(work_ms=1000)
    c.state(first, "running")
    worker = stack.workers["1"]
    worker.ask()
    c.until(lambda: c.events("worker-1", "worker.draining"), "the drain")
    second = c.noop()
    assert worker.wait() == 0
    assert c.row(first)[0] == "succeeded"
    assert c.job(second)["state"] == "queued" and c.job(second)["attempt"] == 0


# --- configuration and identity

def refused(stack, **config):
    """The exit code and log of a worker that must not start."""
    log = stack.dir / "log/refused.txt"
    log.unlink(missing_ok=True)
    p = Process("worker", [str(stack.build / "millrace-worker")], log, env=stack.env(**config))
    try:
        return p.wait(), log.read_text()
    finally:
        p.stop()


@pytest.mark.parametrize("config,words", [
    ({"SLOTS": "0"}, ("SLOTS", "1", "10000")),
    ({"SLOTS": "many"}, ("SLOTS", "many")),
    ({"QUEUES": "default=0"}, ("QUEUES", "1 to 10000")),
    ({"QUEUES": "default,default"}, ("QUEUES", "default", "twice")),
    ({"QUEUES": "No Such Name"}, ("QUEUES", "No Such Name")),
    ({"BEAT": "1s", "LEASE": "2s"}, ("LEASE", "2000", "BEAT", "3000")),
    ({"INSTANCE": "a b"}, ("INSTANCE", "a b", "48")),
    ({"INSTANCE": "x" * 49}, ("INSTANCE", "48")),
    ({"HOST": "h:1"}, ("HOST", "48")),
    ({"REDIS_URL": "http://nowhere"}, ("redis://",)),
    ({"WEBHOOK_SECRETS": "whsec_!!"}, ("WEBHOOK_SECRETS",)),
    ({"OUTGOING_ALLOW": "300.1.1.1/8"}, ("300.1.1.1",)),
    ({"MAIL_FROM": "nobody"}, ("MAIL_FROM",)),
    ({"METRICS_LISTEN": "everywhere"}, ("METRICS_LISTEN", "everywhere")),
    ({"SPOOL_DIR": "/proc/nowhere"}, ("/proc/nowhere",)),
])
def test_a_wrong_configuration_stops_the_start(stack, config, words):
    code, log = refused(stack, INSTANCE=config.pop("INSTANCE", "refused"), **config)
    assert code == 78, log
    for word in words:
        assert word in log, log
    assert "must(" not in log


def test_blobs_on_another_file_system_stop_the_start(stack):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        code, log = refused(stack, INSTANCE="refused", BLOB_DIR=elsewhere)
    assert code == 78 and "SPOOL_DIR" in log and "BLOB_DIR" in log and "one file system" in log


def test_a_second_worker_of_the_same_name_is_refused(stack):
    code, log = refused(stack)
    assert code == 78 and "INSTANCE 1" in log and ".lock" in log
    assert stack.client.ended(stack.client.noop())["state"] == "succeeded", "the first one is not disturbed"


def test_secrets_are_not_logged(stacks):
    secret = "whsec_c2VjcmV0LXRoYXQtbXVzdC1ub3QtYmUtc2Vlbi1hbnl3aGVyZQ=="
    stack = stacks(WEBHOOK_SECRETS=secret, SMTP_PASSWORD="hunter2hunter2", LOG_LEVEL="debug")
    stack.client.ended(stack.client.noop())
    log = stack.client.log("worker-1")
    assert "c2VjcmV0" not in log and "hunter2" not in log


# --- metrics

def test_the_metrics_count_every_attempt_once(stacks):
    stack = stacks(METRICS_LISTEN="127.0.0.1:0")
    c = stack.client
    for _ in range(7):
        c.noop()
    for _ in range(3):
        c.noop(fail_attempts=1)
    for _ in range(2):
        c.noop(fail_final=True)
    c.quiet()
    got = stack.client.worker_samples()

    def attempts(outcome):
        return got["millrace_attempts_total", f'queue="default",outcome="{outcome}"']

    assert (attempts("succeeded"), attempts("retrying"), attempts("dead"), attempts("released")) == (10, 3, 2, 0)
    assert got["millrace_job_run_seconds_count", 'queue="default"'] == 15
    rows = c.rows("select outcome, count(*) from attempts group by 1 order by 1")
    assert rows == [(4, 3), (5, 10), (6, 2)]
    assert got["process_open_fds", ""] > 0


def test_the_metrics_port_survives_odd_clients(stacks):
    stack = stacks(METRICS_LISTEN="127.0.0.1:0")
    port = stack.client.events("worker-1", "metrics.listening")[0]["port"]
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(6)]
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(b"x" * 4096)
        assert s.recv(100) == b"", "a head over the limit is cut off"
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(b"GET / HT")
        s.sendall(b"TP/1.1\r\n\r\n")
        assert s.recv(12) == b"HTTP/1.1 200"
    for s in idle:
        s.close()
    assert stack.client.worker_samples()


# --- the schema

def test_a_wrong_schema_is_waited_for(stacks):
    stack = stacks(start=False)
    c = stack.client
    stack.redis.start()
    stack.pg.start()
    stack.pg.create_database()
    stack.start_api()
    job = c.noop()
    stack.start_worker()
    c.until(lambda: c.events("worker-1", "schema.wrong"), "the complaint")
    assert c.events("worker-1", "schema.wrong")[0]["do"] == "run: millrace migrate"
    assert c.job(job)["state"] == "queued" and c.job(job)["attempt"] == 0
    stack.cli("migrate")
    assert c.ended(job)["state"] == "succeeded"
    assert c.events("worker-1", "schema.ok")


def test_a_newer_schema_is_left_alone(stacks):
    stack = stacks(start=False)
    stack.start_services()
    stack.client.rows("insert into millrace_migrations (version, name, checksum) select version + 1000, name, checksum from millrace_migrations "
                      "order by version desc limit 1 returning version")
    stack.start_api()
    job = stack.client.noop()
    stack.start_worker()
    stack.client.until(lambda: stack.client.events("worker-1", "schema.wrong"), "the complaint")
    assert stack.client.events("worker-1", "schema.wrong")[0]["do"] == "run the newer programs"
    assert stack.client.job(job)["state"] == "queued"


def test_the_worker_lists_its_keys_and_checks_them(stack):
    say = subprocess.run([str(stack.build / "millrace-worker"), "--help"], capture_output=True, text=True, check=True)
    for key in ("--queues", "--lease", "--path-roots", "--metrics-listen"):
        assert key in say.stdout
    check = subprocess.run([str(stack.build / "millrace-worker"), "--check"], env=stack.env(), capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stderr
