"""An API that is killed in the middle of enqueues and uploads."""

import signal
import socket

from support.audit import audit
from support.faults import kill_api, mixed, ready
from support.load import Load
from support.pictures import plain_png


def test_an_api_that_is_killed_under_load_loses_no_acknowledged_job(stacks):
    stack, upload, known, base = ready(stacks)
    load = Load(stack, mixed(upload, 900), connections=16, rate=300)
    with load:
        for _ in range(3):
            done = len(load.acked)
            stack.client.until(lambda: len(load.acked) > done + 100, "more jobs")
            kill_api(stack)
            stack.start_api()
    assert load.cut > 0, "some connections were cut"
    audit(stack, load, base, known=known)


def test_uploads_that_were_cut_off_leave_nothing(stacks):
    stack, upload, known, base = ready(stacks)
    c = stack.client
    port = int(stack.url.rsplit(":", 1)[1])
    picture = plain_png(600, 500)
    halves = []
    for _ in range(5):
        s = socket.create_connection(("127.0.0.1", port))
        s.sendall(f"POST /v1/uploads HTTP/1.1\r\nhost: x\r\ncontent-length: {len(picture)}\r\n\r\n".encode() + picture[:len(picture) // 2])
        halves.append(s)
    c.until(lambda: len(list((stack.dir / "blobs").rglob("*.part"))) == 5, "half uploads")
    whole = c.upload(picture)
    kill_api(stack)
    for s in halves:
        s.close()
    stack.start_api()
    c.until(lambda: not list((stack.dir / "blobs").rglob("*.part")), "the sweep")
    load = Load(stack, mixed(whole, 20), connections=4)
    with load:
        pass
    audit(stack, load, base, known=known)
    assert {p.name for p in c.files("blobs", "uploads")} == {upload, whole}


def test_an_upload_is_whole_or_not_there(stacks):
    """Killed at the moment in which the last byte is on disk and nobody has been told."""
    stack, upload, known, base = ready(stacks)
    c = stack.client
    assert stack.api.stop() == 0
    stack.api = None
    stack.start_api(FAILPOINTS="api.upload_whole=kill")
    status, _, body = stack.request("POST", "/v1/uploads", plain_png(64, 64))
    assert status == 0, (status, body)
    assert stack.api.wait() == -signal.SIGKILL
    stack.api = None
    stack.start_api()
    c.until(lambda: not list((stack.dir / "blobs").rglob("*.part")), "the sweep")
    assert c.upload(plain_png(64, 64))
    load = Load(stack, mixed(upload, 20), connections=4)
    with load:
        pass
    audit(stack, load, base, known=known)
