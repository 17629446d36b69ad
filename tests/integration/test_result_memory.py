"""The memory of results: the same bytes and the same recipe are worked on once, and what is told is there."""

import os
import signal

import psycopg2
import pytest

from support.origin import Origin

SMALL = {"name": "small", "ops": [{"resize": {"width": 64}}], "format": "webp", "quality": 70}


@pytest.fixture(scope="module")
def stack(module_stacks):
    return module_stacks(RESULT_MEMORY="true", METRICS_LISTEN="127.0.0.1:0")


@pytest.fixture(scope="module")
def jpeg(picture):
    return picture(400, 300).read_bytes()


def submit(stack, source, outputs=(SMALL,), **more):
    args = {"source": source, "outputs": list(outputs), **more.pop("args", {})}
    return stack.client.submit({"type": "image", "args": args, **more})


def run(stack, source, *args, **more):
    job = stack.client.ended(submit(stack, source, *args, **more))
    assert job["state"] == "succeeded", job
    return job


def upload(stack, data):
    return {"upload": stack.client.upload(data)}


def cached(job):
    return job["result"].get("cached", False)


def counts(stack, instance="1"):
    samples = stack.client.worker_samples(instance)
    return {labels.split('"')[1]: int(v) for (name, labels), v in samples.items() if name == "millrace_result_memory_total"}


def gained(stack, before):
    return {k: v - before[k] for k, v in counts(stack).items()}


def renderers(stack, instance="1"):
    pid = stack.workers[instance].pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [int(n) for n in children.read().split()]


def test_the_same_again_is_not_rendered(stack, jpeg):
    before = counts(stack)
    first, second = (run(stack, upload(stack, jpeg)) for _ in range(2))
    assert not cached(first) and cached(second)
    assert first["outputs"][0]["sha256"] == second["outputs"][0]["sha256"]
    told = {k: v for k, v in first["result"].items() if k not in ("render_ms", "cpu_ms", "predicted_ms", "peak_rss")}
    assert second["result"] == {**told, "cached": True}
    out, = second["outputs"]
    status, _, body = stack.get(out["url"])
    assert status == 200 and len(body) == out["bytes"]
    assert gained(stack, before) == {"hit": 1, "miss": 1, "shared": 0}


def test_whatever_differs_is_rendered(stack, jpeg, picture):
    source = upload(stack, jpeg)
    base = {"name": "d", "ops": [{"resize": {"width": 50}}], "format": "webp"}
    assert not cached(run(stack, source, [base]))
    for other in ({**base, "quality": 33}, {**base, "name": "e"}, {**base, "format": "jpeg"}, {**base, "ops": []}):
        assert not cached(run(stack, source, [other])), other
    assert not cached(run(stack, source, [base], args={"auto_orient": False}))
    assert not cached(run(stack, upload(stack, picture(320, 200).read_bytes()), [base]))
    again = {"format": "webp", "ops": [{"resize": {"width": 50}}], "name": "d"}
    assert cached(run(stack, source, [again])), "the order of keys does not count"


def test_wherever_the_bytes_come_from(stack, jpeg):
    outputs = [{**SMALL, "name": "anywhere"}]
    origin = Origin()
    try:
        origin.pages["/a"] = origin.file(jpeg)
        origin.pages["/b"] = origin.chunked(jpeg)
        stacked = [run(stack, source, outputs) for source in
                   ({"url": origin.url("/a")}, upload(stack, jpeg), {"url": origin.url("/b")})]
    finally:
        origin.close()
    assert [cached(j) for j in stacked] == [False, True, True]
    assert not stack.client.files("spool")


def test_a_file_that_is_gone_is_made_anew(stack, jpeg):
    outputs = [{**SMALL, "name": "gone", "quality": 61}]
    first = run(stack, upload(stack, jpeg), outputs)
    path = stack.dir / "blobs" / first["outputs"][0]["file"]
    path.unlink()
    second = run(stack, upload(stack, jpeg), outputs)
    assert not cached(second) and path.exists()
    assert cached(run(stack, upload(stack, jpeg), outputs))


def test_a_failure_is_not_remembered(stack):
    broken = b"\xff\xd8\xff" + b"no picture" * 50
    for _ in range(2):
        before = counts(stack)
        job = stack.client.ended(submit(stack, upload(stack, broken)))
        assert job["state"] == "dead" and job["error"] == "MALFORMED", job
        assert gained(stack, before)["miss"] == 1


def test_two_at_once_are_worked_on_once(stacks, jpeg):
    stack = stacks(RESULT_MEMORY="true", METRICS_LISTEN="127.0.0.1:0", FAILPOINTS="render.decode=1*pause")
    first = submit(stack, upload(stack, jpeg))
    stack.client.state(first, "running")
    others = [submit(stack, upload(stack, jpeg)) for _ in range(2)]
    for other in others:
        stack.client.state(other, "running")
    for pid in renderers(stack):
        os.kill(pid, signal.SIGCONT)

    def go_on():  # a renderer may stop after that
        for pid in renderers(stack):
            os.kill(pid, signal.SIGCONT)
        return stack.client.job(first)["state"] == "succeeded"
    stack.client.until(go_on, "the first job's end")
    assert all(cached(stack.client.ended(other)) for other in others)
    got = counts(stack)
    assert got["miss"] == 1 and got["hit"] + got["shared"] == 2, got


def test_who_waits_for_a_failure_does_the_work(stacks, jpeg):
    stack = stacks(RESULT_MEMORY="true", METRICS_LISTEN="127.0.0.1:0", FAILPOINTS="render.decode=2*spin", RENDERERS="1")
    run(stack, upload(stack, jpeg), [{**SMALL, "name": "first-pass"}])
    source = upload(stack, jpeg)
    spins = submit(stack, source, timeout_ms=4000, max_attempts=1)
    stack.client.until(lambda: counts(stack)["miss"] == 2, "the lookup of the one that spins")
    impatient = submit(stack, source, timeout_ms=300, max_attempts=1)
    patient = submit(stack, source)
    job = stack.client.ended(impatient)
    assert (job["state"], job["error"]) == ("dead", "TIMEOUT") and "300" in job["error_text"], job
    assert stack.client.job(spins)["state"] == "running", "the one that waited was not held up"
    assert stack.client.ended(spins)["error"] == "TIMEOUT"
    job = stack.client.ended(patient)
    assert job["state"] == "succeeded" and job["attempt"] == 1 and not cached(job), job
    assert counts(stack) == {"miss": 3, "hit": 0, "shared": 0}


def test_results_grow_old(stacks, jpeg):
    stack = stacks(RESULT_MEMORY="true", RESULT_AGE="1h")
    run(stack, upload(stack, jpeg))
    assert cached(run(stack, upload(stack, jpeg)))
    with psycopg2.connect(stack.pg.url) as db, db.cursor() as cursor:
        cursor.execute("update image_results set made_at = now() - interval '61 minutes'")
    assert not cached(run(stack, upload(stack, jpeg)))
    assert cached(run(stack, upload(stack, jpeg)))


def test_without_the_memory_all_is_rendered(stacks, jpeg):
    stack = stacks()
    assert not any(cached(run(stack, upload(stack, jpeg))) for _ in range(2))
    assert stack.client.rows("select count(*) from image_results") == [(0,)]


def test_another_worker_remembers_too(stacks, jpeg):
    stack = stacks(RESULT_MEMORY="true")
    run(stack, upload(stack, jpeg))
    assert stack.workers.pop("1").stop() == 0
    stack.start_worker("2")
    assert cached(run(stack, upload(stack, jpeg)))


def test_a_worker_that_drains_lets_go_of_who_waits(stacks, jpeg):
    stack = stacks(RESULT_MEMORY="true", FAILPOINTS="render.decode=1*spin", DRAIN="200ms", RENDERERS="1")
    source = upload(stack, jpeg)
    both = [submit(stack, source) for _ in range(2)]
    for job in both:
        stack.client.state(job, "running")
    assert stack.workers.pop("1").stop() == 0
    stack.start_worker("2", FAILPOINTS="none=pause")
    jobs = [stack.client.ended(job) for job in both]
    assert [j["state"] for j in jobs] == ["succeeded"] * 2
    assert not stack.client.files("spool")
