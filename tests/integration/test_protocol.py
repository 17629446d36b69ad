"""The queue protocol as others speak it: docs/protocol.md is run as it is printed, and Redis is fed by hand."""

import json
import os
import re
import shutil
import subprocess
import time
import uuid
from pathlib import Path

import msgpack
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PEERS, GOLDEN = ROOT / "tests/peers", ROOT / "tests/golden"
PAGE = (ROOT / "docs/protocol.md").read_text()


def block(language):
    """The page's code block in that language."""
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)
    assert len(found) == 1, f"{len(found)} blocks of {language}"
    return found[0]


def uuid7():
    b = bytearray((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10))
    b[6], b[8] = 0x70 | b[6] & 0x0F, 0x80 | b[8] & 0x3F
    return bytes(b)


def text(raw):
    return str(uuid.UUID(bytes=raw))


def item(**fields):
    return msgpack.packb({"v": 1, "id": uuid7(), "type": "noop", "args": {}, **fields})


def push(stack, *items, queue="default", priority="normal"):
    r = stack.client.redis
    for one in items:
        r.lpush(f"mr:{{{queue}}}:ready:{priority}", one)
    if not r.llen(f"mr:{{{queue}}}:wake"):
        r.lpush(f"mr:{{{queue}}}:wake", "1")


def new_rows(stack, before):
    return [r for r in stack.client.rows("select id::text, state, error, error_text, attempt from job_list") if r[0] not in before]


@pytest.fixture
def rows(stack):
    """Gives a function: the rows made since the test began, once the queues are quiet."""
    before = {r[0] for r in stack.client.rows("select id::text from job_list")}

    def ask(n):
        stack.client.until(lambda: len(new_rows(stack, before)) >= n, f"{n} rows")
        stack.client.quiet()
        return new_rows(stack, before)

    return ask


# --- the page, as it is printed

def test_the_python_of_the_page_enqueues(stack, rows):
    code = block("python")
    assert "redis.Redis()" in code
    exec(compile(code.replace("redis.Redis()", f"redis.Redis(unix_socket_path={str(stack.redis.socket)!r})"), "protocol.md", "exec"), {})
    assert [r[1] for r in rows(1)] == ["succeeded"]


def test_the_shell_line_of_the_page_enqueues(stack, rows):
    place = f'redis-cli() {{ command redis-cli -s "{stack.redis.socket}" "$@"; }}\n'
    done = subprocess.run(["bash", "-euc", place + block("sh")], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 and done.stdout.strip().endswith("1"), done
    (job_id, state, *_), = rows(1)
    assert state == "succeeded" and uuid.UUID(job_id).version == 7


def test_the_node_of_the_page_enqueues(stack, rows, tmp_path):
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (modules / "ioredis").symlink_to(PEERS / "ioredis")
    (modules / "@msgpack").symlink_to(ROOT / "node_modules/@msgpack")
    (tmp_path / "enqueue.mjs").write_text(block("js"))
    done = subprocess.run([shutil.which("node"), "enqueue.mjs"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
                          env={**os.environ, "REDIS_SOCKET": str(stack.redis.socket)})
    assert done.returncode == 0, done
    assert [r[1] for r in rows(1)] == ["succeeded"]


def test_a_job_without_a_token_is_noticed_all_the_same(stack, rows):
    stack.client.redis.lpush("mr:{default}:ready:normal", item())
    assert [r[1] for r in rows(1)] == ["succeeded"]


def test_later_is_later(stack, rows):
    raw = uuid7()
    due = time.time_ns() // 1_000_000 + 700
    stack.client.redis.zadd("mr:{default}:delayed", {b"1" + item(id=raw): due})
    assert [r[0] for r in rows(1)] == [text(raw)]
    started, = stack.client.rows("select extract(epoch from started_at) * 1000 >= %s from job_list where id = %s", due, text(raw))
    assert started == (True,)


def test_priorities_and_queues_are_keys(stack, rows):
    push(stack, item(type="webhook", args={"url": "http://127.0.0.1:1/"}, max_attempts=1), queue="notify", priority="critical")
    (_, state, error, *_), = rows(1)
    assert (state, error) == ("dead", "UNREACHABLE")


# --- golden vectors, read by others

def golden(name):
    return json.loads((GOLDEN / name).read_text())


def as_envelope(job, binary):
    return {"v": 1, **{k: binary(uuid.UUID(v)) if k in ("id", "parent", "batch") else v for k, v in job.items()}}


def test_python_reads_and_writes_the_golden_vectors():
    for vector in golden("jobs.json"):
        raw = bytes.fromhex(vector["hex"])
        assert msgpack.unpackb(raw) == as_envelope(vector["job"], lambda u: u.bytes), vector["name"]
        assert msgpack.packb(msgpack.unpackb(raw)) == raw, vector["name"]


def test_node_reads_and_writes_the_golden_vectors():
    done = subprocess.run([shutil.which("node"), str(PEERS / "golden.mjs"), str(GOLDEN / "jobs.json")], capture_output=True, text=True,
                          check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    for vector, read in zip(golden("jobs.json"), json.loads(done.stdout), strict=True):
        assert read["job"] == as_envelope(vector["job"], lambda u: {"bin": u.hex}), vector["name"]
        assert read["same"], f"{vector['name']}: Node writes other bytes"


def test_the_worker_takes_encodings_that_it_would_not_write(stack, rows):
    vectors = golden("foreign.json")
    ids = []
    for vector in vectors:
        raw = uuid7()
        ids.append(text(raw))
        push(stack, bytes.fromhex(vector["hex"]).replace(uuid.UUID(vector["job"]["id"]).bytes, raw))
    assert {(r[0], r[1]) for r in rows(len(vectors))} == {(i, "succeeded") for i in ids}


# --- what is no job

def deep(levels):
    return b"\x91" * levels + b"\xc0"


BROKEN = {
    "empty": (b"", "MALFORMED", "item"),
    "text": (b"no job at all", "MALFORMED", "item"),
    "json": (b'{"v": 1, "type": "noop", "args": {}}', "MALFORMED", "item"),
    "zeros": (b"\0" * 100, "MALFORMED", "item"),
    "a future version": (item(v=2), "MALFORMED", "v must be"),
    "no such type": (item(type="teleport"), "UNSUPPORTED", "teleport"),
    "wrong args": (item(args={"work_ms": "soon"}), "MALFORMED", "/args/work_ms"),
    "unknown args": (item(args={"payload": 1, "pay": 2}), "MALFORMED", "/args/pay"),
    "a wrong follow-up": (item(then=[{"type": "webhook", "args": {"url": "ftp://x"}}]), "MALFORMED", "/then/0/args/url"),
    "an unknown field": (item(prio=3), "MALFORMED", "prio is not"),
    "an id of text": (item(id="019a0b5c-7d3e-7abc-8def-0123456789ab"), "MALFORMED", "id must be"),
    "a short id": (item(id=b"12345678"), "MALFORMED", "id must be"),
    "too big": (item(args={"payload": "x" * 300_000}), "TOO_BIG", "item"),
    "a thousand deep": (msgpack.packb({"v": 1, "id": uuid7(), "type": "noop"})[:1].replace(b"\x83", b"\x84")
                        + msgpack.packb({"v": 1, "id": uuid7(), "type": "noop"})[1:] + msgpack.packb("args") + b"\x81\xa7payload" + deep(1000),
                        "MALFORMED", "item"),
    "only depth": (deep(100_000), "MALFORMED", "item"),
    "a count that lies": (b"\xdf\xff\xff\xff\xff" + item(), "MALFORMED", "item"),
    "a carried id alone": (b"\xc1" + uuid7(), "MALFORMED", "item"),
    "a carried id cut short": (b"\xc1123", "MALFORMED", "item"),
}


def test_what_is_no_job_is_dead_with_the_reason_and_stops_nothing(stack, rows):
    good = []
    for broken, _, _ in BROKEN.values():
        raw = uuid7()
        good.append(text(raw))
        push(stack, broken, item(id=raw))
    got = rows(2 * len(BROKEN))
    assert len(got) == 2 * len(BROKEN), "one row each"
    assert sorted(r[0] for r in got if r[1] == "succeeded") == sorted(good)
    assert {r[4] for r in got} == {1}, "none is tried again"
    for name, (broken, error, words) in BROKEN.items():
        told = stack.client.rows("select j.error, j.error_text from jobs j where j.item = %s", bare(broken)[:262144])
        assert any(e == error and words in t for e, t in told), (name, told)
    assert stack.workers["1"].alive()


def bare(raw):
    """The item itself: an id that it carries is taken off."""
    return raw[17:] if raw[:1] == b"\xc1" and len(raw) >= 17 else raw


def test_the_golden_malformed_items_are_dead(stack, rows):
    vectors = golden("malformed.json")
    ours = uuid.UUID("019a0b5c-7d3e-7abc-8def-0123456789ab").bytes
    for vector in vectors:
        push(stack, bytes.fromhex(vector["hex"]).replace(ours, uuid7()))
    got = rows(len(vectors))
    assert [r[1] for r in got] == ["dead"] * len(vectors)
    assert {r[2] for r in got} <= {"MALFORMED", "TOO_BIG"}
    texts = [r[3] for r in got]
    for vector in vectors:
        assert any(t.startswith(vector["error"]) for t in texts), vector["name"]


def test_copies_of_one_job_are_one_job(stack, rows):
    raw = uuid7()
    push(stack, *[item(id=raw, args={"work_ms": 300})] * 5)
    got = rows(1)
    assert [(r[0], r[1], r[4]) for r in got] == [(text(raw), "succeeded", 1)]
    push(stack, item(id=raw, args={"fail_final": True}))
    stack.client.quiet()
    assert stack.client.row(text(raw))[0] == "succeeded", "a later copy changes nothing"
    assert stack.client.rows("select count(*) from attempts where job_id = %s", text(raw)) == [(1,)]


def test_old_and_odd_ids_have_rows_too(stack, rows):
    ids = [b"\0" * 16, b"\xff" * 16, uuid.uuid4().bytes, (2**47).to_bytes(6, "big") + b"\x70" * 10]
    push(stack, *[item(id=i) for i in ids])
    got = rows(len(ids))
    assert sorted((r[0], r[1]) for r in got) == sorted((text(i), "succeeded") for i in ids)


def test_keys_of_the_wrong_kind_do_not_kill_a_worker(stacks):
    stack = stacks(QUEUES="default,odd")
    r = stack.client.redis
    r.set("mr:{odd}:ready:critical", "no list")
    push(stack, item(), queue="odd")
    assert stack.client.ended(stack.client.noop())["state"] == "succeeded"
    r.delete("mr:{odd}:ready:critical")
    stack.client.quiet()
    assert stack.client.rows("select count(*) from job_list where queue = 'odd' and state = 'succeeded'") == [(1,)]
