"""Image jobs from upload to file: what comes out is read by another program, what goes wrong is told."""

import hashlib
import shutil
import signal
import uuid

import pytest

from support.pictures import header, plain_png, png, turned

CARD = {"name": "card", "ops": [{"resize": {"width": 640, "height": 480, "fit": "cover", "gravity": "attention"}}, {"sharpen": {}}],
        "format": "webp", "quality": 80}


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    return tmp_path_factory.mktemp("roots")


@pytest.fixture(scope="module")
def stack(module_stacks, roots):
    (roots / "open").mkdir()
    (roots / "closed").mkdir()
    return module_stacks(PATH_ROOTS=f"{roots}/no/such:{roots}/open", SOURCE_PIXELS="4000000", SOURCE_BYTES="8m")


def image(source, *outputs, **more):
    return {"type": "image", "args": {"source": source, "outputs": list(outputs) or [CARD]}, **more}


def run(stack, source, *outputs, **more):
    return stack.client.ended(stack.client.submit(image(source, *outputs, **more)))


def small(name="small", **more):
    return {"name": name, "ops": [{"resize": {"width": 64}}], **more}


def check_files(stack, job):
    """Every output's file is what the row says, for us, for the API and for another reader."""
    for out in job["outputs"]:
        path = stack.dir / "blobs" / out["file"]
        data = path.read_bytes()
        assert hashlib.sha256(data).hexdigest() == out["sha256"] and len(data) == out["bytes"]
        assert header(path) == (out["width"], out["height"], out["format"])
        assert path.stat().st_mode & 0o777 == 0o640
        assert out["file"].startswith(f"{out['sha256'][:2]}/{out['sha256']}.")
        status, head, body = stack.get(out["url"])
        assert status == 200 and body == data and head["ETag"].strip('"') == out["sha256"]
    assert not stack.client.files("spool"), "nothing is left in the spool directory"


# --- what comes out

def test_many_outputs_of_one_source(stack, picture):
    upload = stack.client.upload(picture(1600, 1200).read_bytes())
    job = run(stack, {"upload": upload}, CARD,
              {"name": "thumb", "ops": [{"resize": {"width": 160}}], "format": "jpeg"},
              {"name": "box", "ops": [{"resize": {"width": 300, "height": 300}}], "format": "png"},
              {"name": "still", "ops": [{"resize": {"width": 200, "height": 200, "fit": "contain", "background": "#102030"}}],
               "format": "avif"},
              {"name": "wide", "ops": [{"resize": {"width": 400, "height": 100, "fit": "fill"}}]},
              {"name": "same"})
    assert job["state"] == "succeeded", job
    sizes = {o["name"]: (o["width"], o["height"], o["format"]) for o in job["outputs"]}
    assert sizes == {"card": (640, 480, "webp"), "thumb": (160, 120, "jpeg"), "box": (300, 225, "png"),
                     "still": (200, 200, "avif"), "wide": (400, 100, "jpeg"), "same": (1600, 1200, "jpeg")}
    assert job["result"]["source"] == {"format": "jpeg", "width": 1600, "height": 1200}
    assert [o["name"] for o in job["result"]["outputs"]] == ["card", "thumb", "box", "still", "wide", "same"]
    assert job["result"]["cpu_ms"] > 0 and job["result"]["peak_rss"] > 1 << 20
    check_files(stack, job)


def test_thirty_two_outputs(stack, picture):
    upload = stack.client.upload(picture(400, 300).read_bytes())
    job = run(stack, {"upload": upload}, *[{"name": f"w{w}", "ops": [{"resize": {"width": w}}], "format": "webp"} for w in range(32, 64)])
    assert [o["width"] for o in sorted(job["outputs"], key=lambda o: o["name"])] == list(range(32, 64))
    check_files(stack, job)


def test_a_png_keeps_its_format(stack):
    upload = stack.client.upload(plain_png(300, 200))
    job = run(stack, {"upload": upload}, small())
    assert [(o["width"], o["height"], o["format"]) for o in job["outputs"]] == [(64, 43, "png")]
    check_files(stack, job)


@pytest.mark.parametrize("orientation,size", [(1, (100, 50)), (3, (100, 50)), (6, (50, 100)), (8, (50, 100)), (5, (50, 100))])
def test_a_picture_is_turned_as_its_camera_says(stack, picture, orientation, size):
    upload = stack.client.upload(turned(picture(400, 200).read_bytes(), orientation))
    job = run(stack, {"upload": upload}, {"name": "out", "ops": [{"resize": {"width": 100, "height": 100}}], "format": "png"})
    assert (job["outputs"][0]["width"], job["outputs"][0]["height"]) == size
    check_files(stack, job)


def test_turning_can_be_left_out(stack, picture):
    upload = stack.client.upload(turned(picture(400, 200).read_bytes(), 6))
    job = stack.client.ended(stack.client.submit(
        {"type": "image", "args": {"source": {"upload": upload}, "outputs": [small()], "auto_orient": False}}))
    assert (job["outputs"][0]["width"], job["outputs"][0]["height"]) == (64, 32)


def test_the_same_work_twice_makes_one_file(stack, picture):
    upload = stack.client.upload(picture(500, 400).read_bytes())
    first, second = [run(stack, {"upload": upload}, small(format="webp")) for _ in range(2)]
    assert first["id"] != second["id"] and first["outputs"][0]["file"] == second["outputs"][0]["file"]
    check_files(stack, second)


# --- sources

def test_a_missing_upload_is_not_found(stack):
    missing = str(uuid.UUID(int=0x019a0b5c70007000800000000000002a))
    job = run(stack, {"upload": missing})
    assert (job["state"], job["error"], job["attempt"]) == ("dead", "NOT_FOUND", 1)
    assert missing in job["error_text"] and job["error_text"].startswith("/args/source/upload")


def test_paths_lead_only_where_they_may(stack, roots, picture):
    place, closed = roots / "open", roots / "closed"
    (place / "deep/er").mkdir(parents=True, exist_ok=True)
    for target in (place / "a.jpg", place / "deep/er/b.jpg", closed / "c.jpg", roots / "opener.jpg"):
        shutil.copy(picture(400, 300), target)
    links = {"in": place / "a.jpg", "out": closed / "c.jpg", "loop": place / "loop", "gone": place / "nothing"}
    for name, target in links.items():
        if not (place / name).is_symlink():
            (place / name).symlink_to(target)
    if not (place / "way").is_symlink():
        (place / "way").symlink_to(closed)
    want = {
        place / "a.jpg": None, place / "deep/er/b.jpg": None, place / "in": None,
        place / "out": "FORBIDDEN", place / "way/c.jpg": "FORBIDDEN", closed / "c.jpg": "FORBIDDEN",
        roots / "opener.jpg": "FORBIDDEN", "/etc/passwd": "FORBIDDEN", place: "FORBIDDEN",
        "/no/such/file": "FORBIDDEN", "/etc/no-such-file": "FORBIDDEN",  # whether it exists is nobody's business
        place / "nothing.jpg": "NOT_FOUND", place / "gone": "NOT_FOUND", place / "a.jpg/x": "NOT_FOUND",
        place / "deep": "MALFORMED", place / "loop": "MALFORMED",
    }
    ids = {path: stack.client.submit(image({"path": str(path)}, small())) for path in want}
    got = {path: stack.client.ended(i).get("error") for path, i in ids.items()}
    assert got == want
    assert (place / "a.jpg").read_bytes() == picture(400, 300).read_bytes(), "a source is left as it was"


def test_paths_are_off_unless_roots_are_named(stacks, picture):
    stack = stacks()
    job = run(stack, {"path": str(picture(400, 300))})
    assert (job["state"], job["error"]) == ("dead", "FORBIDDEN") and "PATH_ROOTS" in job["error_text"]


# --- sources that are no pictures

@pytest.mark.parametrize("name,make,error,words", [
    ("text", lambda p: b"no picture at all, only text", "UNSUPPORTED", ()),
    ("cut off", lambda p: p(800, 600).read_bytes()[:9000], "MALFORMED", ("jpeg",)),
    ("only a head", lambda p: png(100, 100), "MALFORMED", ("png",)),
    ("svg", lambda p: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "UNSUPPORTED", ()),
    ("too many pixels", lambda p: png(60000, 60000), "TOO_BIG", ("3600000000", "4000000")),
    ("just too many", lambda p: png(2001, 2000), "TOO_BIG", ("4002000", "4000000")),
    ("too many bytes", lambda p: p(400, 300).read_bytes() + b"\0" * (9 << 20), "TOO_BIG", ("8388608",)),
])
def test_what_is_no_picture_is_dead_at_once(stack, picture, name, make, error, words):
    upload = stack.client.upload(make(picture))
    job = run(stack, {"upload": upload}, small())
    assert (job["state"], job["error"], job["attempt"]) == ("dead", error, 1), job
    for word in words:
        assert word in job["error_text"].replace(",", "").lower(), job["error_text"]
    assert "outputs" not in job and not stack.client.files("spool")


def test_a_picture_without_bytes_is_malformed(stack, roots):
    (roots / "open/empty.jpg").write_bytes(b"")
    job = run(stack, {"path": str(roots / "open/empty.jpg")}, small())
    assert (job["state"], job["error"]) == ("dead", "MALFORMED") and "empty" in job["error_text"]


# --- renderers that die

def broken_stack(stacks, order, **config):
    return stacks(FAILPOINTS=order, RENDERERS="1", **config)


@pytest.mark.parametrize("act,words", [("segv", ("SEGV",)), ("abort", ("ABRT",)), ("kill", ("killed",)), ("exit", ("exited",))])
def test_a_renderer_that_crashes_costs_one_attempt(stacks, picture, act, words):
    stack = broken_stack(stacks, f"render.decode=2*{act}")
    upload = stack.client.upload(picture(400, 300).read_bytes())
    assert run(stack, {"upload": upload}, small())["attempt"] == 1
    job = run(stack, {"upload": upload}, small())
    assert job["state"] == "succeeded" and job["attempt"] == 2
    first = min(job["attempts"], key=lambda a: a["attempt"])
    assert first["outcome"] == "retrying" and first["error"] == "CRASHED"
    for word in words:
        assert word in first["error_text"]
    assert run(stack, {"upload": upload}, small("after"))["state"] == "succeeded"
    assert stack.workers["1"].alive()
    check_files(stack, job)


def test_a_renderer_that_never_ends_is_killed_at_the_deadline(stacks, picture):
    stack = broken_stack(stacks, "render.decode=2*spin")
    upload = stack.client.upload(picture(400, 300).read_bytes())
    good, bad, after = [stack.client.submit(image({"upload": upload}, small(), timeout_ms=4000, max_attempts=1)) for _ in range(3)]
    assert stack.client.ended(good)["state"] == "succeeded"
    job = stack.client.ended(bad)
    assert (job["state"], job["error"]) == ("dead", "TIMEOUT") and "4000" in job["error_text"], job["error_text"]
    assert stack.client.ended(after)["state"] == "succeeded"
    assert not stack.client.files("spool")


def test_a_renderer_that_eats_memory_dies_alone(stacks, picture):
    stack = broken_stack(stacks, "render.decode=2*hog", RENDER_MEMORY="512m")
    if stack.client.sanitized():
        pytest.skip("a sanitizer needs more address space than any limit leaves")
    upload = stack.client.upload(picture(400, 300).read_bytes())
    good, bad, after = [stack.client.submit(image({"upload": upload}, small(), max_attempts=1)) for _ in range(3)]
    assert stack.client.ended(good)["state"] == "succeeded"
    job = stack.client.ended(bad)
    assert (job["state"], job["error"]) == ("dead", "CRASHED") and "512 MiB" in job["error_text"], job["error_text"]
    assert stack.client.ended(after)["state"] == "succeeded"


def test_a_store_that_fails_is_tried_again(stacks, picture):
    stack = stacks(FAILPOINTS="worker.store=1*error")
    upload = stack.client.upload(picture(400, 300).read_bytes())
    job = run(stack, {"upload": upload}, small("a"), small("b", format="webp"))
    assert (job["state"], job["attempt"]) == ("succeeded", 2)
    assert min(job["attempts"], key=lambda a: a["attempt"])["error"] == "IO"
    check_files(stack, job)


def test_a_slow_disk_keeps_no_renderer_from_others(stacks, picture):
    """Without that, two jobs for one renderer would be all that are claimed."""
    stack = stacks(FAILPOINTS="worker.store=spin", RENDERERS="1", METRICS_LISTEN="127.0.0.1:0")
    upload = stack.client.upload(picture(400, 300).read_bytes())
    for _ in range(4):
        stack.client.submit(image({"upload": upload}, small()))
    stack.client.until(lambda: stack.client.worker_samples()["millrace_render_orders_total", 'result="ok"'] == 4, "four pictures made")
    assert stack.workers["1"].stop(signal.SIGKILL) == -signal.SIGKILL
    stack.client.excused.append(-signal.SIGKILL)


def test_a_drain_ends_what_a_renderer_does(stacks, picture):
    stack = stacks(FAILPOINTS="render.decode=1*spin", DRAIN="200ms", RENDERERS="1")
    upload = stack.client.upload(picture(400, 300).read_bytes())
    job = stack.client.submit(image({"upload": upload}, small(), max_attempts=1))
    stack.client.state(job, "running")
    worker = stack.workers["1"]
    worker.ask()
    assert worker.wait() == 0
    assert stack.client.job(job)["state"] == "queued"
    stack.start_worker("2", FAILPOINTS="none=pause")
    done = stack.client.ended(job)
    assert (done["state"], done["attempt"]) == ("succeeded", 2)
    assert not stack.client.files("spool")


def test_image_jobs_in_another_queue_run_as_well(stacks, picture):
    stack = stacks(QUEUES="default,photos=50", RENDERERS="2")
    upload = stack.client.upload(picture(800, 600).read_bytes())
    ids = [stack.client.submit(image({"upload": upload}, small(f"n{n}"), queue="photos")) for n in range(20)]
    assert {stack.client.ended(i)["state"] for i in ids} == {"succeeded"}
