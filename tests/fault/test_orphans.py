"""Files without a row: what dies leaves them behind, they are removed when they are old, and no other file ever is."""

import os
import signal

import pytest

from support import blobs
from support.audit import audit
from support.faults import LONG, picture_job, ready
from support.load import Load


def one_picture(stack, upload, n=1):
    """A load of one picture, acknowledged; and its id."""
    load = Load(stack, [picture_job(upload, n)], connections=1)
    with load:
        pass
    return load, next(iter(load.acked))


def killed_between_file_and_row(stack, upload):
    load, job = one_picture(stack, upload)
    victim = stack.start_worker("1", wait=False, FAILPOINTS="ledger.record=1*kill", SWEEP_EVERY="0")
    assert victim.wait() == -signal.SIGKILL
    return load, job


def test_what_a_dead_worker_left_of_a_cancelled_job_is_swept(stacks):
    stack, upload, known, base = ready(stacks, **blobs.QUICK_SWEEP, **LONG)
    c = stack.client
    assert stack.workers["1"].stop() == 0
    load, job = killed_between_file_and_row(stack, upload)
    orphans = blobs.there(stack) - blobs.with_rows(stack)
    assert len(orphans) == 2
    status, _, _ = stack.post_json(f"/v1/jobs/{job}/cancel", {})
    assert status in (200, 202)
    stack.start_worker("1")
    assert c.ended(job)["state"] == "cancelled"
    with pytest.raises(AssertionError, match="files without a row"):
        audit(stack, load, base, crashes=1, known=known, states=False)
    blobs.pass_sweeps(stack)
    assert orphans <= blobs.there(stack), "they are young"
    for file in orphans:
        blobs.set_age(stack, file)
    c.until(lambda: not orphans & blobs.there(stack), "the sweep")
    audit(stack, load, base, crashes=1, known=known, states=False)
    assert sum(e["removed"] for e in c.events("worker-1", "blobs.swept")) == 2


def test_a_job_that_runs_again_has_its_files(stacks):
    """The first attempt's files are old when the second makes them anew."""
    stack, upload, known, base = ready(stacks, **blobs.QUICK_SWEEP, **LONG)
    assert stack.workers["1"].stop() == 0
    load, job = killed_between_file_and_row(stack, upload)
    for file in blobs.there(stack) - blobs.with_rows(stack):
        blobs.set_age(stack, file)
    stack.start_worker("1")
    assert stack.client.ended(job)["state"] == "succeeded"
    blobs.pass_sweeps(stack)
    audit(stack, load, base, crashes=1, known=known)


def test_files_whose_row_waits_for_postgres_are_held(stacks):
    stack, upload, known, base = ready(stacks, BLOB_KEEP="100ms", **blobs.QUICK_SWEEP)
    c = stack.client
    before = blobs.there(stack)
    stack.pg.stop()
    load, job = one_picture(stack, upload)
    made = c.until(lambda: len(blobs.there(stack) - before) == 2 and not c.files("spool") and blobs.there(stack) - before, "its files")
    for file in made:
        blobs.set_age(stack, file)  # as if PostgreSQL were away for hours
    c.until(lambda: all(blobs.is_young(stack, f) for f in made), "that they are held")
    stack.pg.start()
    assert c.ended(job)["state"] == "succeeded"
    blobs.pass_sweeps(stack)
    audit(stack, load, base, known=known)


def test_nothing_is_swept_while_postgres_is_away(stacks):
    stack, *_ = ready(stacks, **blobs.QUICK_SWEEP)
    stack.pg.stop()
    stack.client.until(lambda: stack.client.events("worker-1", "postgres.down"), "that it is missed")
    orphan = blobs.make(stack, b"nobody's", age_s=2 * blobs.GRACE_S)
    blobs.pass_sweeps(stack)
    assert orphan in blobs.there(stack)
    stack.pg.start()
    stack.client.until(lambda: orphan not in blobs.there(stack), "the sweep")


def set_aside(stack, what, *contents):
    """A sweep is struck when it has set these files aside, and nothing else yet."""
    assert stack.workers["1"].stop() == 0
    files = [blobs.make(stack, content, age_s=2 * blobs.GRACE_S) for content in contents]
    worker = stack.start_worker("1", wait=False, FAILPOINTS=f"sweep.aside=1*{what}")
    stack.client.until(lambda: {f + ".swept" for f in files} <= blobs.there(stack), "that they are set aside")
    return worker, files


def stopped(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] == "T"


def test_a_row_that_comes_in_the_middle_of_a_sweep_keeps_its_file(stacks):
    stack, _, known, _ = ready(stacks, **blobs.QUICK_SWEEP, **LONG)
    c = stack.client
    worker, (late, orphan) = set_aside(stack, "pause", b"late", b"nobody's")
    c.until(lambda: stopped(worker.pid), "that it stands still")
    blobs.give_row(stack, late, known[-1])
    worker.send(signal.SIGCONT)
    c.until(lambda: c.events("worker-1", "blobs.swept"), "the end of the sweep")
    assert {late, orphan} & blobs.there(stack) == {late} and blobs.is_young(stack, late)
    swept = c.events("worker-1", "blobs.swept")[0]
    assert (swept["put_back"], swept["removed"]) == (1, 1), swept


def test_a_file_that_is_used_in_the_middle_of_a_sweep_stays(stacks):
    """What somebody touched just before it was set aside, and what somebody stored just after."""
    stack, *_ = ready(stacks, **blobs.QUICK_SWEEP, **LONG)
    c = stack.client
    worker, (touched, again, orphan) = set_aside(stack, "pause", b"touched", b"again", b"nobody's")
    c.until(lambda: stopped(worker.pid), "that it stands still")
    os.utime(blobs.path_of(stack, touched + ".swept"))
    blobs.make(stack, b"again")
    worker.send(signal.SIGCONT)
    c.until(lambda: c.events("worker-1", "blobs.swept"), "the end of the sweep")
    blobs.pass_sweeps(stack)
    assert {touched, again, orphan} & blobs.there(stack) == {touched, again}
    assert not [f for f in blobs.there(stack) if f.endswith(".swept")]


def test_a_sweep_that_dies_is_finished_by_the_next(stacks):
    stack, _, known, _ = ready(stacks, **blobs.QUICK_SWEEP, **LONG)
    worker, (wanted, orphan) = set_aside(stack, "kill", b"wanted", b"nobody's")
    assert worker.wait() == -signal.SIGKILL
    blobs.give_row(stack, wanted, known[-1])
    stack.start_worker("1")
    stack.client.until(lambda: {wanted, orphan, wanted + ".swept", orphan + ".swept"} & blobs.there(stack) == {wanted}, "the next sweep")


def test_a_postgres_that_goes_in_the_middle_of_a_sweep_costs_no_file(stacks):
    stack, *_ = ready(stacks, **blobs.QUICK_SWEEP, **LONG)
    c = stack.client
    worker, files = set_aside(stack, "pause", b"one", b"two")
    c.until(lambda: stopped(worker.pid), "that it stands still")
    stack.pg.stop()
    worker.send(signal.SIGCONT)
    c.until(lambda: set(files) <= blobs.there(stack), "that they are put back")
    assert c.events("worker-1", "blobs.unswept")
    stack.pg.start()


def test_a_worker_that_ends_in_the_middle_of_a_sweep_leaves_nothing_aside(stacks):
    stack, *_ = ready(stacks, **blobs.QUICK_SWEEP, **LONG)
    worker, files = set_aside(stack, "pause", b"one", b"two")
    stack.client.until(lambda: stopped(worker.pid), "that it stands still")
    worker.ask()
    worker.send(signal.SIGCONT)
    assert worker.wait() == 0
    left = blobs.there(stack)
    assert not [f for f in left if f.endswith(".swept")], left
    assert set(files) <= left or not set(files) & left
