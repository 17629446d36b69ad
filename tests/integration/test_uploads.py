"""Uploads: streamed to disk, whole or not there at all."""

import hashlib
import json
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.raw import Raw, chunked, request

CHUNKED = request("POST", "/v1/uploads", headers=("Transfer-Encoding: chunked",))


@pytest.fixture(scope="module")
def api(module_stacks):
    return module_stacks.api_only(UPLOAD_MAX="64k")


def head(length):
    return f"POST /v1/uploads HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n".encode()


def uploads(stack):
    return sorted(p.name for p in (stack.dir / "blobs/uploads").iterdir())


def nothing_left(stack, before=()):
    stack.client.until(lambda: uploads(stack) == sorted(before), "a directory without strays")


def is_stored(stack, answer, data):
    assert answer.status == 201, answer
    body = json.loads(answer.body)
    assert body == {"id": body["id"], "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert (stack.dir / "blobs/uploads" / body["id"]).read_bytes() == data
    return body["id"]


@pytest.mark.parametrize("size", [1, 100, 16384, 32768, 65535, 65536])
def test_an_upload_is_stored_as_it_was_sent_up_to_upload_max(api, size):
    data = os.urandom(size)
    with Raw(api) as raw:
        is_stored(api, raw.ask(request("POST", "/v1/uploads", data)), data)
        is_stored(api, raw.ask(CHUNKED + chunked(*[data[i:i + 9999] for i in range(0, size, 9999)])), data)


def test_an_upload_may_arrive_byte_by_byte(api):
    data = os.urandom(3000)
    with Raw(api) as raw:
        raw.send(request("POST", "/v1/uploads", data), 1)
        is_stored(api, raw.answer(), data)


@pytest.mark.parametrize("data", [head(0), b"POST /v1/uploads HTTP/1.1\r\nHost: test\r\n\r\n", CHUNKED + b"0\r\n\r\n"])
def test_an_empty_upload_is_refused(api, data):
    before = uploads(api)
    with Raw(api) as raw:
        answer = raw.ask(data)
        assert answer.status == 400 and b"empty" in answer.body
        assert raw.ask(request("GET", "/healthz")).status == 200
    assert uploads(api) == before


def test_one_byte_more_than_upload_max_is_refused_before_it_is_sent(api):
    before = uploads(api)
    with Raw(api) as raw:
        answer = raw.ask(head(65537))
        assert answer.status == 413 and b"UPLOAD_MAX" in answer.body and raw.end() == b""
    assert uploads(api) == before


@pytest.mark.parametrize("pieces", [[65537], [60000, 5537], [1] * 65537])
def test_one_byte_more_than_upload_max_is_refused_without_a_length_too(api, pieces):
    before = uploads(api)
    with Raw(api) as raw:
        try:
            raw.send(CHUNKED + chunked(*[b"x" * n for n in pieces]))
        except OSError:
            pass  # it is refused while it is sent
        answer = raw.answer()
        assert answer.status == 413 and b"UPLOAD_MAX" in answer.body
    nothing_left(api, before)


def test_a_body_that_breaks_off_in_bad_framing_leaves_nothing(api):
    before = uploads(api)
    with Raw(api) as raw:
        answer = raw.ask(CHUNKED + b"c350\r\n" + b"x" * 50000 + b"\r\nnonsense\r\n")
        assert answer.status == 400
    nothing_left(api, before)


@pytest.mark.parametrize("leave", ["reset", "close", "finish_sending"])
def test_a_client_that_goes_in_the_middle_leaves_nothing(api, leave):
    before = uploads(api)
    for sent in (0, 1000, 40000, 65535):
        raw = Raw(api)
        raw.send(head(65536) + b"x" * sent)
        api.client.until(lambda: len(uploads(api)) > len(before), "the part")
        getattr(raw, leave)()
        nothing_left(api, before)
        raw.close()


def test_the_answer_to_expect_comes_before_the_bytes_and_once(api):
    with Raw(api) as raw:
        data = b"x" * 50000
        assert raw.ask(head(len(data))[:-2] + b"Expect: 100-continue\r\n\r\n").status == 100
        is_stored(api, raw.ask(data), data)


# --- large ones


def test_a_large_upload_is_never_whole_in_memory(stacks):
    stack = stacks.api_only()
    before = stack.client.memory("VmHWM")
    piece = os.urandom(1 << 20)
    digest = hashlib.sha256(piece * 64).hexdigest()
    with Raw(stack) as raw:
        raw.send(head(64 << 20))
        for _ in range(64):
            raw.send(piece)
        answer = raw.answer()
    assert answer.status == 201 and json.loads(answer.body)["sha256"] == digest and json.loads(answer.body)["bytes"] == 64 << 20
    grown = stack.client.memory("VmHWM") - before
    print(f"{grown >> 10} KB more for 64 MB")
    assert stack.client.sanitized() or grown < 4 << 20


def test_many_large_uploads_at_once_are_braked_and_right(stacks):
    stack = stacks.api_only()
    before = stack.client.memory("VmHWM")

    def one(i):
        data = bytes([i]) * (8 << 20)
        with Raw(stack) as raw:
            return json.loads(raw.ask(request("POST", "/v1/uploads", data)).body)["sha256"] == hashlib.sha256(data).hexdigest()

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(16)))
    grown = stack.client.memory("VmHWM") - before
    print(f"{grown >> 10} KB more for 16 times 8 MB at once")
    assert stack.client.sanitized() or grown < 16 << 20
    assert stack.client.metric("millrace_http_body_bytes") == 0


# --- when things die


def test_an_upload_cut_by_a_kill_is_removed_by_the_next_api_and_whole_ones_stay(stacks):
    stack = stacks.api_only()
    kept = stack.client.upload(b"kept")
    raw = Raw(stack)
    raw.send(head(1 << 20) + b"x" * 500000)
    stack.client.until(lambda: len(uploads(stack)) == 2, "the part")
    stack.api.stop(signal.SIGKILL)
    raw.close()
    assert len(uploads(stack)) == 2
    stack.start_api()
    nothing_left(stack, [kept])


def test_a_kill_between_the_last_byte_and_the_name_leaves_nothing(stacks):
    if b"api.upload_whole" not in (stacks.build / "millrace-api").read_bytes():
        pytest.skip("this build has no failpoints")
    stack = stacks(start=False)
    stack.redis.start()
    stack.start_api(FAILPOINTS="api.upload_whole=kill")
    with Raw(stack) as raw:
        raw.send(request("POST", "/v1/uploads", b"x" * 100000))
        assert raw.end() == b""
    assert stack.api.wait() == -signal.SIGKILL
    assert [n.endswith(".part") for n in uploads(stack)] == [True]
    stack.start_api()
    nothing_left(stack)


def test_the_sweep_of_one_api_leaves_the_parts_of_another_alone(stacks):
    stack = stacks.api_only()
    with Raw(stack) as raw:
        raw.send(head(100000) + b"x" * 60000)
        stack.client.until(lambda: uploads(stack), "the part")
        log = stack.dir / "log/other.log"
        with open(log, "wb") as out:
            other = subprocess.Popen([str(stack.build / "millrace-api")], stdout=out, stderr=out,
                                     env=stack.env(LISTEN="127.0.0.1:0", UPLOAD_TTL="1s"))
        # It sweeps when it starts, and each second: once an older file has gone it has looked at the part.
        old = stack.dir / "blobs/uploads/0192f0c1-2345-7abc-8def-0123456789ab"
        old.write_bytes(b"old")
        os.utime(old, (1, 1))
        stack.client.until(lambda: not old.exists(), "the sweep")
        other.terminate()
        assert other.wait(60) == 0
        is_stored(stack, raw.ask(b"x" * 40000), b"x" * 100000)


def test_an_upload_is_kept_for_upload_ttl_and_no_longer(stacks):
    stack = stacks.api_only(UPLOAD_TTL="1s")
    began = time.time()
    path = stack.dir / "blobs/uploads" / stack.client.upload(b"short-lived")
    stack.client.until(lambda: not path.exists(), "its end")
    assert time.time() - began > 0.9
    stack.client.until(lambda: stack.client.events("api", "uploads.swept"), "word of it")


def test_a_full_disk_is_told_as_such_and_leaves_nothing(stacks):
    stack = stacks(start=False)
    place = stack.dir / "blobs"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", str(place)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("no right to mount a small file system")
    try:
        stack.redis.start()
        stack.start_api()
        kept = stack.client.upload(b"x" * 500000)
        for framing in (lambda n: head(n) + b"y" * n, lambda n: CHUNKED + chunked(b"y" * n)):
            with Raw(stack) as raw:
                try:
                    raw.send(framing(3 << 20))
                except OSError:
                    pass  # it is refused while it is sent
                answer = raw.answer()
                assert answer.status == 507 and answer.headers["content-type"] == "application/problem+json"
                assert b"full" in answer.body
            nothing_left(stack, [kept])
        stack.client.upload(b"there is room for this")
        assert stack.api.stop() == 0
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_directory_that_is_gone_is_told_as_unavailable(stacks):
    stack = stacks.api_only()
    (stack.dir / "blobs/uploads").rmdir()
    for body in (b"x", b"x" * 100000):
        with Raw(stack) as raw:
            answer = raw.ask(request("POST", "/v1/uploads", body))
            assert answer.status == 503 and answer.headers["retry-after"] == "1"
    (stack.dir / "blobs/uploads").mkdir()
    stack.client.upload(b"x")
