"""An API that is killed in the middle of enqueues and uploads."""

import json
import signal
import socket
import time

from support.audit import audit
from support.faults import kill_api, mixed, ready
from support.load import Load
from support.pictures import plain_png
from support.raw import Raw, request


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


def test_an_api_that_is_killed_in_the_middle_of_pipelined_requests(stacks):
    """Hundreds of jobs on each connection, none of whose answers was read: what was taken runs once, the rest never was."""
    stack, upload, known, base = ready(stacks)
    c = stack.client
    tags, answered = [f"p{i}" for i in range(1200)], {}
    bodies = [json.dumps({"type": "noop", "args": {"payload": t}}).encode() for t in tags]
    links = [Raw(stack) for _ in range(4)]
    for n, link in enumerate(links):
        link.send(b"".join(request("POST", "/v1/jobs", b, ["Content-Type: application/json"]) for b in bodies[n::4]))
    c.until(lambda: c.metric("millrace_http_connections") > 4 and c.rows("select count(*) from jobs")[0][0] > 20, "that it takes them")
    kill_api(stack)
    for n, link in enumerate(links):
        for tag in tags[n::4]:
            try:
                answer = link.answer()
            except (AssertionError, OSError):
                break
            if answer.status == 202:
                answered[json.loads(answer.body)["id"]] = tag
        link.close()
    stack.start_api()
    load = Load(stack, mixed(upload, 20), connections=4)
    with load:
        pass
    load.acked.update(answered)
    load.acked_at.update(dict.fromkeys(answered, time.time()))
    for tag in tags:
        load.sends[tag], load.due[tag], load.expected[tag] = 1, time.time(), "succeeded"
    audit(stack, load, base, known=known)
    assert answered, "some were answered before"


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
