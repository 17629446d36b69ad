"""Twenty thousand jobs over 64 connections: one row each, and memory that stays where it was."""

from support.audit import Base, audit, resident
from support.load import Load, noops


def test_twenty_thousand_jobs_have_twenty_thousand_rows(stacks):
    stack = stacks()
    c = stack.client
    one = c.noop()
    c.ended(one)
    base = Base(stack)
    first, rest = Load(stack, noops(2000), connections=64), Load(stack, noops(18000), connections=64)
    with first:
        pass
    c.quiet()
    early = resident(stack.api.pid), resident(stack.workers["1"].pid)
    with rest:
        pass
    c.quiet()
    late = resident(stack.api.pid), resident(stack.workers["1"].pid)
    assert rest.answers == {202: 18000} and first.answers == {202: 2000} and not rest.cut
    rows = audit(stack, [first, rest], base, known=[one])
    assert set(rows) == {*first.acked, *rest.acked, one, *c.probes}
    assert c.rows("select count(*) from attempts") == [(len(rows),)], "and none was run twice"
    if not c.sanitized():
        for name, before, after in zip(("API", "worker"), early, late, strict=True):
            assert after <= 1.3 * before, f"{name}: {before >> 10} KiB after 2000 jobs, {after >> 10} KiB after 20000"
