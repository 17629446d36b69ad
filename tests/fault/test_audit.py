"""The audit itself: it finds each thing that it is there to find. No servers: the facts are doctored."""

import dataclasses

import msgpack
import pytest

from support.audit import Facts, Row, judge


def item(kind="noop", then=(), **args):
    return msgpack.packb({"v": 1, "id": b"0" * 16, "type": kind, "args": args, **({"then": list(then)} if then else {})})


def row(job_id, tag=None, state="succeeded", attempt=1, parent=None, **more):
    made = Row(id=job_id, state=state, attempt=attempt, max_attempts=5, parent=parent, item=item(payload=tag), finished=100.0, worker="h:1:a")
    return dataclasses.replace(made, **more)


def sound():
    """Two plain jobs, one of them tried twice; a webhook with a follow-up; an output; a job of unknown outcome that was taken."""
    hook = item("webhook", [{"type": "noop", "args": {"payload": "t2"}, "on": "always"}], url="http://x")
    rows = [row("a", "t0"), row("b", "t1", attempt=2), row("c", item=hook), row("d", "t2", parent="c"), row("e", "t3"), row("k")]
    return Facts(
        acked={"a": "t0", "b": "t1", "c": "t2"},
        sends={"t0": 1, "t1": 2, "t2": 1, "t3": 1}, due={"a": 99.0, "b": 99.5, "c": 99.0},
        expected={"t0": "succeeded", "t1": "succeeded", "t2": "succeeded"}, known={"k"}, rows=rows,
        earlier={"a": ("succeeded", 1, 100.0)},
        attempts=[("a", 1, 5, "h:1:a", 100.0), ("b", 1, 4, "h:1:a", 99.0), ("b", 2, 5, "h:2:b", 100.0), ("c", 1, 5, "h:1:a", 100.0)],
        lost={"h:1:a": 100.5}, outputs=[("a", "ab/ab.webp", "ab", 10)], files={"ab/ab.webp": ("ab", 10)}, deliveries=["c"])


def test_what_is_sound_passes_and_is_counted():
    verdict = judge(sound())
    assert not verdict.broken
    assert str(verdict) == "3 acknowledged, 2 unknown, 0 lost, 0 duplicated, 0 repeated effects, 0 late"


def without(facts, job_id):
    return dataclasses.replace(facts, rows=[r for r in facts.rows if r.id != job_id])


def changed(facts, job_id, **how):
    return dataclasses.replace(facts, rows=[dataclasses.replace(r, **how) if r.id == job_id else r for r in facts.rows])


def added(name, *what):
    def doctor(facts):
        now = getattr(facts, name)
        return dataclasses.replace(facts, **{name: {**now, **what[0]} if isinstance(now, dict) else [*now, *what]})
    return doctor


DOCTORED = {
    "a job is lost": ("I1", lambda f: without(f, "a")),
    "a job has two rows": ("I1", added("rows", row("a", "t0"))),
    "a job is still being retried": ("I1", lambda f: changed(f, "b", state="retrying")),
    "a job died": ("I1", lambda f: changed(f, "b", state="dead")),
    "a job is another": ("I1", lambda f: changed(f, "a", item=item(payload="t3"))),
    "a follow-up is missing": ("I1", lambda f: without(f, "d")),
    "a follow-up was made twice": ("I1", added("rows", row("d2", "t2", parent="c"))),
    "an output's file is gone": ("I1", lambda f: dataclasses.replace(f, files={})),
    "an output's file is another": ("I1", added("files", {"ab/ab.webp": ("cd", 10)})),
    "a webhook was never delivered": ("I1", lambda f: dataclasses.replace(f, deliveries=["z"])),
    "a row changed after its end": ("I2", lambda f: changed(f, "a", finished=101.0)),
    "a row went away after its end": ("I2", lambda f: without(f, "a")),
    "too many attempts": ("I3", lambda f: changed(f, "a", attempt=6, max_attempts=5)),
    "an attempt that its job knows nothing of": ("I3", added("attempts", ("a", 2, 5, "h:2:b", 101.0))),
    "delivered more often than tried": ("I3", added("deliveries", "c")),
    "a row that nobody asked for": ("I4", added("rows", row("z", "t9"))),
    "a follow-up of nobody": ("I4", added("rows", row("z", "t9", parent="y"))),
    "an attempt of nobody": ("I4", added("attempts", ("z", 1, 5, "h:1:a", 100.0))),
    "a file of nobody": ("I4", added("files", {"zz/zz.webp": ("zz", 1)})),
    "an output of nobody": ("I4", added("outputs", ("z", "ab/ab.webp", "ab", 10))),
    "a webhook of nobody": ("I4", added("deliveries", "z")),
    "a job was taken more often than sent": ("I5", added("rows", row("a2", "t0"))),
    "a key made two jobs": ("I5", lambda f: dataclasses.replace(added("rows", row("b2", "t1"))(f), keyed=True)),
    "a file is left in the spool directory": ("I6", added("unfinished", "spool/1/x")),
    "descriptors are left open": ("I6", added("strays", "API: 12 descriptors, 9 before")),
    "a program reported a bug": ("I6", added("errors", "worker-1")),
    "an older attempt was written last": ("I7", lambda f: dataclasses.replace(
        f, attempts=[(i, n, o, w, 101.0 if (i, n) == ("b", 1) else t) for i, n, o, w, t in f.attempts], lost={})),
    "a row was written after its lease was lost": ("I7", lambda f: dataclasses.replace(f, lost={"h:1:a": 99.5})),
    "a job is still running": ("I8", added("leftovers", {"mr:{default}:active:h:1:a": "hash"})),
}


@pytest.mark.parametrize("name", DOCTORED)
def test_what_is_broken_is_found(name):
    invariant, doctor = DOCTORED[name]
    verdict = judge(doctor(sound()))
    assert any(line.startswith(invariant + ":") for line in verdict.broken), verdict.broken


def test_the_counts_are_those_of_the_facts():
    facts = changed(sound(), "b", finished=200.0)
    facts = added("rows", row("b2", "t1"))(facts)
    facts = added("deliveries", "c")(without(facts, "a"))
    counts = judge(facts).counts
    assert (counts["acknowledged"], counts["lost"], counts["duplicated"], counts["repeated effects"], counts["late"]) == (3, 1, 1, 1, 1)
