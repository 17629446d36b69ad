"""One Idempotency-Key, one job, whatever dies in between; and unique keys, which every end frees."""

import itertools
import json
import signal
import socket
import threading

import pytest

from integration.test_batch import BATCH, Lines, line
from integration.test_intake import NOOP, post

JSON = {"Content-Type": "application/json"}


def until_answered(stack, job, key, path="/v1/jobs"):
    """Asks again as long as it is told to, as a client that lost an answer does."""
    def ask():
        status, head, body = post_once(stack, job, key, path)
        assert status in (0, 200, 202, 409, 503), (status, body)
        assert status in (0, 200, 202) or int(head["retry-after"]) >= 1
        return (status, head, body) if status in (200, 202) else None
    return stack.client.until(ask, f"an answer to {key}")


def post_once(stack, job, key, path="/v1/jobs"):
    status, head, answer = stack.request("POST", path, json.dumps(job).encode(), {**JSON, "Idempotency-Key": key})
    return status, head, json.loads(answer) if status else answer


def counted(stack, queue="default"):
    return int(stack.client.redis.hget(f"mr:{{{queue}}}:meta", "enqueued") or 0)


def runs(stack):
    return stack.client.rows("select count(*) from attempts")[0][0]


def restart(stack, **more):
    stack.start_api(**more)
    stack.client.until(lambda: stack.get("/readyz")[0] == 200, "readiness")


def stop_api(stack):
    assert stack.api.stop() == 0
    stack.api = None


@pytest.mark.parametrize("where", ["api.idem_begun", "api.idem_enqueued", "api.idem_done"])
@pytest.mark.parametrize("ended", [False, True], ids=["at-once", "after-its-end"])
def test_an_api_that_is_killed_between_the_steps(stacks, where, ended):
    stack = stacks(REDIS_TIMEOUT="300ms")
    stop_api(stack)
    restart(stack, FAILPOINTS=f"{where}=kill")
    assert post_once(stack, NOOP, "k")[0] == 0
    assert stack.api.wait() == -signal.SIGKILL
    stack.api = None
    if ended and where != "api.idem_begun":
        stack.client.until(lambda: runs(stack) == 1 and not stack.client.leftovers(), "the end of the job")
    restart(stack)
    _, _, body = until_answered(stack, NOOP, "k")
    assert stack.client.ended(body["id"])["state"] == "succeeded"
    _, head, again = until_answered(stack, NOOP, "k")
    assert again["id"] == body["id"] and head["idempotency-replayed"] == "true"
    stack.client.quiet()
    assert counted(stack) == 1 and runs(stack) == 1


@pytest.mark.parametrize("where", ["api.idem_begun", "api.idem_enqueued"])
def test_a_batch_whose_api_is_killed_is_completed_not_doubled(stacks, where):
    stack = stacks(REDIS_TIMEOUT="300ms")
    stop_api(stack)
    jobs = {"jobs": [{**NOOP, "args": {"payload": i}} for i in range(200)] + [{"type": "nope", "args": {}}]}
    restart(stack, FAILPOINTS=f"{where}=kill")
    assert post_once(stack, jobs, "b", BATCH)[0] == 0
    assert stack.api.wait() == -signal.SIGKILL
    stack.api = None
    restart(stack)
    status, _, body = until_answered(stack, jobs, "b", BATCH)
    assert (status, body["accepted"], body["rejected"]) == (200, 200, 1)
    for result in body["results"][:-1]:
        assert stack.client.ended(result["id"])["state"] == "succeeded"
    assert counted(stack) == 200 and runs(stack) == 200


def test_a_frozen_api_wakes_up_after_another_has_taken_over(stacks):
    """Its enqueue comes when the job has long ended: it is done once all the same."""
    stack = stacks(REDIS_TIMEOUT="300ms")
    stop_api(stack)
    restart(stack, FAILPOINTS="api.idem_begun=1*pause")
    frozen, answers = stack.api, []
    thread = threading.Thread(target=lambda: answers.append(post_once(stack, NOOP, "k")))
    thread.start()
    stack.client.until(lambda: "T" in open(f"/proc/{frozen.pid}/stat", encoding="ascii").read().rsplit(")", 1)[1][:3], "the stop")
    restart(stack)  # accepts from the same socket
    try:
        _, _, body = until_answered(stack, NOOP, "k")
        assert stack.client.ended(body["id"])["state"] == "succeeded"
        stack.client.quiet()
    finally:
        frozen.send(signal.SIGCONT)
    thread.join()
    [(status, _, late)] = answers
    assert status in (202, 503)  # its own patience may be over
    assert status == 503 or late["id"] == body["id"]
    assert frozen.stop() == 0
    stack.client.quiet()
    assert counted(stack) == 1 and runs(stack) == 1


def test_two_apis_race_for_the_same_keys(stacks):
    stack = stacks()
    one = stack.api
    stack.start_api()  # a second process on the same socket
    keys, found = 40, {}
    barrier = threading.Barrier(8)

    def client():
        for n in range(keys):
            barrier.wait()
            body = until_answered(stack, {**NOOP, "args": {"payload": n}}, f"k{n}")[2]
            found.setdefault(n, set()).add(body["id"])
    threads = [threading.Thread(target=client) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert one.stop() == 0
    assert sorted(found) == list(range(keys)) and all(len(ids) == 1 for ids in found.values())
    for ids in found.values():
        stack.client.ended(*ids)
    assert counted(stack) == keys and runs(stack) == keys


def test_redis_is_killed_under_keys(stacks):
    stack = stacks(REDIS_TIMEOUT="500ms")
    found, enough = {}, threading.Event()

    def client(first):
        for k in itertools.takewhile(lambda _: not enough.is_set(), itertools.count(first, 4)):
            found[k] = until_answered(stack, {**NOOP, "args": {"payload": k}}, f"k{k}")[2]["id"]
    threads = [threading.Thread(target=client, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    try:
        for _ in range(2):
            answered = len(found)
            stack.client.until(lambda n=answered: len(found) > n + 30, "answers")
            stack.redis.kill()
            stack.redis.start()
        answered = len(found)
        stack.client.until(lambda: len(found) > answered + 30, "answers after the last one")
    finally:
        enough.set()
        for t in threads:
            t.join()
    n = len(found)
    assert len(set(found.values())) == n
    for k, job in found.items():
        stack.client.ended(job)
        assert until_answered(stack, {**NOOP, "args": {"payload": k}}, f"k{k}")[2]["id"] == job
    stack.client.quiet()
    assert stack.client.rows("select count(*) from jobs")[0][0] == n


def test_a_client_that_does_not_wait_for_its_answer(stacks):
    stack = stacks()
    port = int(stack.url.rsplit(":", 1)[1])
    body = json.dumps(NOOP).encode()
    for n in range(20):
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(f"POST /v1/jobs HTTP/1.1\r\nhost: x\r\nidempotency-key: k{n}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
    ids = {until_answered(stack, NOOP, f"k{n}")[2]["id"] for n in range(20)}
    for job in ids:
        stack.client.ended(job)
    stack.client.quiet()
    assert len(ids) == 20 == counted(stack) == runs(stack)


def test_a_stream_is_cut_by_redis_and_sent_again(stacks):
    stack = stacks(REDIS_TIMEOUT="500ms")
    n = 3000
    data = b"".join(line(args={"payload": i}) for i in range(n))

    def send(cut=False):
        lines = Lines(stack, "Idempotency-Key: s")
        told = []

        def read():
            while (verdict := lines.read()) is not None:
                told.append(verdict)
        reader = threading.Thread(target=read)
        reader.start()
        try:
            for at in range(0, len(data), 2000):
                lines.send(data[at:at + 2000])
                if at == 40000 and cut:
                    stack.client.until(lambda: len(told) > 100, "verdicts")
                    stack.redis.kill()
            lines.end()
        except OSError:
            pass  # it was answered before its end
        reader.join()
        lines.close()
        return told
    first = send(cut=True)
    assert not first[-1]["done"] and "lines without a verdict" in first[-1]["error"]["detail"]
    stack.redis.start()
    stack.client.until(lambda: stack.get("/readyz")[0] == 200, "readiness")

    def send_again():
        told = send()
        return told if told[-1].get("done") is True else None
    told = stack.client.until(send_again, "that it is taken as a whole")
    assert told[-1] == {"done": True, "lines": n, "accepted": n, "rejected": 0}
    ids = {v["line"]: v["id"] for v in told[:-1]}
    assert all(ids[v["line"]] == v["id"] for v in first[:-1] if v["status"] == 202)
    stack.client.quiet()
    stack.client.until(lambda: stack.client.rows("select count(*) from jobs")[0][0] == n, "all rows")
    assert counted(stack) == n


# --- unique keys


def test_every_end_frees_the_key(stacks):
    stack = stacks()
    c = stack.client

    def held():
        return c.redis.exists("mr:{default}:unique:u")

    def submit(**more):
        return c.submit({**NOOP, "unique": {"key": "u"}, **more})
    ends = {"succeeded": {}, "dead": {"args": {"fail_final": True}}, "retried": {"args": {"fail_attempts": 2}}}
    for name, more in ends.items():
        job = submit(**more)
        assert c.ended(job)["state"] == ("dead" if name == "dead" else "succeeded")
        c.until(lambda: not held(), f"the key after {name}")
    job = submit(args={"work_ms": 60000}, max_attempts=1)
    c.state(job, "running")
    assert post(stack, {**NOOP, "unique": {"key": "u"}})[0] == 409
    assert stack.workers["1"].stop(signal.SIGKILL) == -signal.SIGKILL
    del stack.workers["1"]
    assert held()
    stack.start_worker()
    assert c.ended(job)["state"] == "dead", "killed with its worker, and that was its only attempt"
    c.until(lambda: not held(), "the key after its worker died")
    c.quiet()
    assert not c.redis.exists("mr:{default}:holds")
