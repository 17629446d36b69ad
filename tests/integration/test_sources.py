"""Sources by URL: what is fetched, what is refused, and that nothing is left behind."""

import signal

import pytest

from support.origin import Origin, certificate
from support.pictures import plain_png

OUTPUTS = [{"name": "small", "ops": [{"resize": {"width": 64}}], "format": "webp"}]
LIMIT = 256 * 1024


@pytest.fixture
def origin():
    server = Origin()
    yield server
    server.close()


@pytest.fixture(scope="module")
def stack(module_stacks):
    return module_stacks(SOURCE_BYTES=str(LIMIT), SOURCE_TIMEOUT="2s", OUTGOING_ALLOW="127.0.0.1/32")


@pytest.fixture(scope="module")
def jpeg(picture):
    data = picture(320, 200).read_bytes()
    assert 4096 < len(data) < LIMIT
    return data


def submit(stack, url, **more):
    return stack.client.submit({"type": "image", "args": {"source": {"url": url}, "outputs": OUTPUTS}, **more})


def run(stack, url, **more):
    return stack.client.ended(submit(stack, url, **more))


def spool_is_empty(stack):
    stack.client.until(lambda: not stack.client.files("spool"), "an empty spool directory")


def dead(stack, url, error, text, **more):
    job = run(stack, url, **more)
    assert (job["state"], job["error"]) == ("dead", error), job
    assert text in job["error_text"], job
    spool_is_empty(stack)
    return job


# --- what is fetched

def test_a_picture_by_url(stack, origin, jpeg):
    origin.pages["/a.jpg"] = origin.file(jpeg)
    job = run(stack, origin.url("/a.jpg"))
    assert job["state"] == "succeeded", job
    assert job["result"]["source"] == {"format": "jpeg", "width": 320, "height": 200}
    assert [(o["name"], o["width"], o["format"]) for o in job["outputs"]] == [("small", 64, "webp")]
    asked, = origin.requests("/a.jpg")
    assert "accept-encoding" not in asked and asked["user-agent"].startswith("millrace/")
    spool_is_empty(stack)


def test_the_content_decides_not_the_header(stack, origin):
    origin.pages["/x.jpg"] = origin.file(plain_png(40, 30), content_type="text/html")
    job = run(stack, origin.url("/x.jpg"))
    assert job["state"] == "succeeded" and job["result"]["source"]["format"] == "png", job


def test_a_picture_in_chunks(stack, origin, jpeg):
    origin.pages["/a"] = origin.chunked(jpeg)
    assert run(stack, origin.url("/a"))["state"] == "succeeded"


def test_up_to_three_redirects_are_followed(stack, origin, jpeg):
    origin.pages.update({"/1": origin.moved("/2", 301), "/2": origin.moved(origin.url("/3"), 307), "/3": origin.moved("4", 308),
                         "/4": origin.file(jpeg)})
    assert run(stack, origin.url("/1"))["state"] == "succeeded"
    origin.pages["/0"] = origin.moved("/1", 303)
    dead(stack, origin.url("/0"), "REJECTED", "more than 3 redirects")
    assert len(origin.requests("/4")) == 1


# --- what is refused

def test_wrong_types(stack, origin):
    origin.pages["/page"] = origin.file(b"<html>no picture</html>" * 100)
    job = run(stack, origin.url("/page"))
    assert job["state"] == "dead" and job["error"] in ("MALFORMED", "UNSUPPORTED"), job
    origin.pages["/empty"] = origin.file(b"")
    job = run(stack, origin.url("/empty"))
    assert job["state"] == "dead" and job["error"] in ("MALFORMED", "UNSUPPORTED"), job
    spool_is_empty(stack)


@pytest.mark.parametrize("host", ["10.0.0.1", "127.0.0.2", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]",
                                  "0x7f000002", "2130706434", "192.168.1"])
def test_private_addresses(stack, origin, host):
    dead(stack, origin.url("/a.jpg", host), "FORBIDDEN", "/args/source/url: ")


@pytest.mark.parametrize("target", ["http://127.0.0.2:1/a", "http://[::1]:1/a", "http://169.254.169.254/latest/meta-data"])
def test_a_redirect_to_a_private_address(stack, origin, target):
    origin.pages["/away"] = origin.moved(target)
    dead(stack, origin.url("/away"), "FORBIDDEN", "/args/source/url: ")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a", "gopher://127.0.0.1/", "http://u:p@127.0.0.1/"])
def test_a_redirect_to_what_is_no_web_address(stack, origin, target):
    origin.pages["/away"] = origin.moved(target)
    job = run(stack, origin.url("/away"))
    assert job["state"] == "dead" and job["error"] in ("MALFORMED", "REJECTED"), job
    spool_is_empty(stack)


def test_nothing_leads_from_https_to_http(stacks, origin, jpeg, tmp_path):
    pem = certificate(tmp_path / "both.pem")
    stack = stacks(CA_FILE=f"{pem}.crt")
    secure = Origin(pem)
    try:
        secure.pages.update({"/a": secure.file(jpeg), "/same": secure.moved("/a"), "/down": secure.moved(origin.url("/a"))})
        origin.pages.update({"/a": origin.file(jpeg), "/up": origin.moved(secure.url("/same"))})
        assert run(stack, origin.url("/up"))["state"] == "succeeded"
        dead(stack, secure.url("/down"), "FORBIDDEN", "from https to http")
        assert not origin.requests("/a")
    finally:
        secure.close()


@pytest.mark.parametrize("status,error", [(404, "NOT_FOUND"), (410, "NOT_FOUND"), (403, "REJECTED"), (400, "REJECTED"), (204, "REJECTED"),
                                          (300, "REJECTED"), (304, "REJECTED")])
def test_answers_that_are_final(stack, origin, status, error):
    origin.pages["/a"] = origin.status(status, b"" if status in (204, 304) else b"x" * 200000)
    dead(stack, origin.url("/a"), error, f"answered {status}")
    assert len(origin.requests("/a")) == 1


def test_too_large_as_announced(stack, origin):
    origin.pages["/big"] = origin.stuck_after(b"\xff\xd8\xff" + bytes(1000), 1 << 40)
    dead(stack, origin.url("/big"), "TOO_BIG", f"over {LIMIT} bytes")


def test_too_large_without_an_announcement(stack, origin):
    origin.pages["/big"] = origin.chunked(bytes(LIMIT + 1))
    dead(stack, origin.url("/big"), "TOO_BIG", f"over {LIMIT} bytes")


def test_exactly_the_limit_is_fetched(stack, origin, jpeg):
    """Bytes behind the end of a JPEG are no fault of it, or a warning: never a matter of size."""
    origin.pages["/full"] = origin.chunked(jpeg + bytes(LIMIT - len(jpeg)))
    job = run(stack, origin.url("/full"))
    assert job["state"] == "succeeded" or job["error"] != "TOO_BIG", job


# --- what is tried again

def test_a_server_that_is_busy(stack, origin, jpeg):
    origin.pages["/a"] = [origin.status(503, b"later", retry_after="1"), origin.status(429), origin.file(jpeg)]
    job = run(stack, origin.url("/a"))
    assert job["state"] == "succeeded" and job["attempt"] == 3, job
    assert len(origin.requests("/a")) == 3
    began, = stack.client.rows("select extract(epoch from started_at - (select finished_at from attempts where job_id = %s and attempt = 1))::float"
                               " from attempts where job_id = %s and attempt = 2", job["id"], job["id"])[0]
    assert began >= 0.9, "Retry-After is honoured"


@pytest.mark.parametrize("how", ["length", "chunks"])
def test_cut_in_the_middle(stack, origin, jpeg, how):
    half = jpeg[:len(jpeg) // 2]
    cut = origin.short(half, len(jpeg)) if how == "length" else origin.chunked(half, then_cut=True)
    origin.pages["/a"] = [cut, origin.file(jpeg)]
    job = run(stack, origin.url("/a"))
    assert job["state"] == "succeeded" and job["attempt"] == 2, job
    spool_is_empty(stack)


def test_a_slow_server(stack, origin, jpeg):
    origin.pages["/a"] = origin.stuck_after(jpeg[:100], len(jpeg))
    dead(stack, origin.url("/a"), "TIMEOUT", "no answer in", max_attempts=1)


def test_a_job_with_less_time_than_the_worker_gives(stack, origin, jpeg):
    origin.pages["/a"] = origin.stuck_after(jpeg[:100], len(jpeg))
    dead(stack, origin.url("/a"), "TIMEOUT", "no answer in", max_attempts=1, timeout_ms=200)


def test_slower_than_the_least_rate(stacks, origin, jpeg):
    stack = stacks(SOURCE_RATE="1m", SOURCE_STALL="1s", SOURCE_TIMEOUT="1h")
    origin.pages["/a"] = origin.stuck_after(jpeg[:100], len(jpeg))
    dead(stack, origin.url("/a"), "TIMEOUT", "/args/source/url: ", max_attempts=1)


# --- in the middle

def test_a_fetch_keeps_no_renderer_from_others(stacks, origin, jpeg):
    stack = stacks(RENDERERS="1", SOURCE_FETCHES="3", SOURCE_TIMEOUT="1h")
    origin.pages["/slow"] = [origin.stuck_after(jpeg[:100], len(jpeg))] * 3 + [origin.file(jpeg)]
    waiting = [submit(stack, origin.url("/slow"), timeout_ms=3600000) for _ in range(3)]
    for _ in waiting:
        assert origin.stuck.acquire(timeout=60)
    upload = stack.client.upload(jpeg)
    job = stack.client.ended(stack.client.submit({"type": "image", "args": {"source": {"upload": upload}, "outputs": OUTPUTS}}))
    assert job["state"] == "succeeded", job
    origin.free.set()  # they are cut, and tried again
    for one in waiting:
        assert stack.client.ended(one)["state"] == "succeeded"
    spool_is_empty(stack)


def test_a_worker_that_drains_stops_the_transfer(stacks, origin, jpeg):
    stack = stacks(SOURCE_TIMEOUT="1h", DRAIN="100ms")
    origin.pages["/a"] = [origin.stuck_after(jpeg[:100], len(jpeg)), origin.file(jpeg)]
    job = submit(stack, origin.url("/a"), timeout_ms=3600000)
    assert origin.stuck.acquire(timeout=60)
    assert stack.workers.pop("1").stop() == 0
    assert not stack.client.files("spool")
    stack.start_worker()
    assert stack.client.ended(job)["state"] == "succeeded"
    spool_is_empty(stack)


def test_a_worker_killed_during_the_fetch_leaves_no_file(stacks, origin, jpeg):
    stack = stacks(SOURCE_TIMEOUT="1h")
    origin.pages["/a"] = [origin.stuck_after(jpeg[:100], len(jpeg)), origin.file(jpeg)]
    job = submit(stack, origin.url("/a"), timeout_ms=3600000)
    assert origin.stuck.acquire(timeout=60)
    stack.client.until(lambda: any(f.stat().st_size for f in stack.client.files("spool")), "the first bytes in the spool directory")
    worker = stack.workers.pop("1")
    worker.send(signal.SIGKILL)
    worker.wait()
    assert stack.client.files("spool"), "a file is what the next start has to remove"
    stack.start_worker()
    assert stack.client.ended(job)["state"] == "succeeded"
    spool_is_empty(stack)
