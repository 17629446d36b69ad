"""Networks that delay, cut, tear and lose: between the daemons and their stores, and between clients and the API.

One stack for each direction of faults; each of its faults happens under load, and the audit looks at all of it at the end.
"""

import itertools
import time

from support.audit import audit, terminal_rows
from support.faults import claimed, freeze, mixed, mixed_quick, ready, thaw
from support.load import Load, noops


def endless(upload):
    return (job for n in itertools.count() for job in mixed(upload, 5))


def more(stack, load, n=40):
    """Waits until so many more jobs were acknowledged."""
    done = len(load.acked)
    stack.client.until(lambda: len(load.acked) >= done + n, f"{n} more jobs")


def more_rows(stack, n=20):
    count = lambda: stack.client.rows("select count(*) from jobs")[0][0]  # noqa: E731
    before = count()
    stack.client.until(lambda: count() >= before + n, f"{n} more rows")


def test_slow_and_torn_connections(stacks, relays):
    """Delay, pieces of a few bytes, a trickle: everything goes on, only slower."""
    stack, upload, known, base = ready(stacks, start=relays.start)
    http = relays.http
    load = Load(stack, endless(upload), connections=8, rate=100, port=http.port)
    with load:
        for proxy in relays.all():
            proxy.delay(0.02)
        more(stack, load)
        for proxy in relays.all():
            proxy.heal()
            proxy.slice(11)
        more(stack, load)
        for proxy in relays.all():
            proxy.heal()
            proxy.rate(60_000)
        more(stack, load)
        relays.heal()
        more_rows(stack)
        load.stop()
    audit(stack, load, base, known=known)
    assert set(load.answers) == {202} and not load.cut


def test_connections_that_are_reset(stacks, relays):
    """At any byte of a request or an answer, again and again."""
    stack, upload, known, base = ready(stacks, start=relays.start)
    load = Load(stack, endless(upload), connections=8, rate=150, port=relays.http.port)
    cuts = 0
    with load:
        for after, way in ((0, "up"), (1, "up"), (100, "up"), (3000, "up"), (1, "down"), (57, "down"), (2000, "down"), (None, None)):
            for proxy in relays.all():
                before = proxy.struck()
                if after is None:
                    proxy.cut()
                else:
                    proxy.cut(after=after, way=way)
                stack.client.until(lambda p=proxy, b=before: p.struck() > b, "a connection that is cut")
                cuts += 1
            more(stack, load, 10)
        relays.heal()
        more_rows(stack)
        load.stop()
    audit(stack, load, base, crashes=cuts, known=known)
    assert load.cut > 0 and stack.api.alive() and stack.workers["1"].alive()


def test_replies_that_are_lost(stacks, relays):
    """Delivered and carried out, the answer lost: a key's begin or end, an enqueue, a claim, a settlement, a beat, a row, a registration's question."""
    stack, upload, known, base = ready(stacks, start=relays.start)
    c = stack.client
    load = Load(stack, endless(upload), connections=8, rate=150)
    lost = 0
    with load:
        for proxy, request in ((relays.api_redis, b"idem"), (relays.api_redis, b"enqueue_checked"), (relays.redis, b"claim"), (relays.redis, b"settle"), (relays.redis, b"beat"),
                               (relays.redis, b"reap"), (relays.redis, b"blpop"), (relays.redis, b"enqueue"), (relays.pg, b"ledger_write")):
            for _ in range(2):
                proxy.drop_reply(request)
                c.until(lambda p=proxy: not p.dropping(), f"the {request.decode()} whose reply is lost")
                lost += 1
                more(stack, load, 5)
        load.stop()
    audit(stack, load, base, crashes=lost, known=known)
    assert load.refused > 0, "an enqueue of unknown fate is told as such"
    # Claims whose reply was lost, and settlements that are sent again, cost no job an attempt that counts.
    assert not c.rows("select id from jobs where state = 6")


def test_a_request_of_unknown_fate_is_told_so(stacks, relays):
    stack, _, known, base = ready(stacks, start=relays.start)
    relays.api_redis.drop_reply(b"enqueue")
    status, head, problem = stack.post_json("/v1/jobs", {"type": "noop", "args": {"payload": "unsure"}})
    assert status == 503 and head["Retry-After"] and "may have been taken" in problem["detail"], problem
    c = stack.client
    taken = c.until(lambda: c.rows("select id::text from jobs where position(%s in item) > 0", b"unsure"), "its row: it was taken")
    load = Load(stack, noops(20), connections=4)
    with load:
        pass
    audit(stack, load, base, known=[*known, taken[0][0]])


def test_a_worker_in_a_black_hole_for_longer_than_its_lease(stacks, relays):
    """What it says arrives late, when others have its jobs: it changes nothing. Then it comes back under a new name."""
    stack, _, known, base = ready(stacks, start=relays.start)
    c = stack.client
    direct = {"REDIS_URL": stack.redis.url, "PG_URL": stack.pg.url}
    stack.start_worker("2", **direct)
    reaped = lambda: len([e for e in c.events("worker-2", "consumer.reaped") if ":1:" in e["name"]])  # noqa: E731
    for way in ("both", "up"):
        load = Load(stack, noops(60, work_ms=300), connections=8)
        before, lost = reaped(), len(c.events("worker-1", "consumer.lost"))
        with load:
            c.until(lambda: claimed(stack) >= 20, "jobs at work")
            relays.redis.hold(way)
        c.until(lambda n=before: reaped() >= n + 3, "that it is given up in all its queues")
        c.quiet()
        ended = terminal_rows(c)
        relays.redis.heal()
        c.until(lambda n=lost: len(c.events("worker-1", "consumer.lost")) >= n + 3, "that it notices")
        audit(stack, load, base, crashes=3, known=[*known, *ended], earlier=ended)
        known += load.acked


def test_a_worker_that_hears_nothing(stacks, relays):
    """What it says arrives, what Redis says does not: it finds out, and takes back what it never heard of."""
    stack, upload, known, base = ready(stacks, start=relays.start)
    c = stack.client
    load = Load(stack, mixed(upload, 100), connections=8, rate=200)
    with load:
        more(stack, load, 30)
        relays.redis.hold("down")
        c.until(lambda: c.events("worker-1", "consumer.away"), "that it notices")
        relays.redis.heal()
    audit(stack, load, base, crashes=3, known=known)


def test_results_that_were_held_up_are_not_written_after_the_lease(stacks, relays):
    """PostgreSQL is out of reach while jobs end, and the worker is frozen past its lease: what it held is not written when
    PostgreSQL comes back, because the jobs are others' by then."""
    stack, _, known, base = ready(stacks, start=relays.start)
    c = stack.client
    relays.pg.cut()
    relays.pg.refuse()
    load = Load(stack, noops(30, work_ms=50), connections=8)
    with load:
        c.until(lambda: len(load.acked) == 30 and claimed(stack) == 30, "thirty jobs")
    c.until(lambda: c.events("worker-1", "postgres.down"), "that the worker notices")
    began = time.monotonic()
    c.until(lambda: time.monotonic() - began > 0.5, "the end of their work")
    freeze(stack.workers["1"])
    stack.start_worker("2", PG_URL=stack.pg.url, SLOTS="5")
    c.until(lambda: any(":1:" in e["name"] and "default" == e["queue"] for e in c.events("worker-2", "consumer.reaped")), "that it is given up")
    relays.pg.heal()
    thaw(stack.workers["1"])
    c.until(lambda: c.events("worker-1", "consumer.lost"), "that it notices")
    audit(stack, load, base, crashes=1, known=known)


def test_postgres_is_cut_off_in_the_middle_of_a_batch(stacks, relays):
    """Whether the batch was committed nobody knows: it is written again, and each job has one row."""
    stack, _, known, base = ready(stacks, start=relays.start)
    load = Load(stack, mixed_quick(600), connections=8, rate=400)
    with load:
        for after, way in ((500, "up"), (4000, "up"), (None, None), (10, "down"), (None, None)):
            before = relays.pg.struck()
            if after is None:
                relays.pg.drop_reply(b"ledger_write")
            else:
                relays.pg.cut(after=after, way=way)
            stack.client.until(lambda b=before: relays.pg.struck() > b, "a batch that is cut")
    rows = audit(stack, load, base, known=known)
    assert {r.attempt for r in rows.values()} == {1}, "nothing was run twice for it"


def test_a_black_hole_between_a_worker_and_postgres(stacks, relays):
    stack, _, known, base = ready(stacks, start=relays.start)
    load = Load(stack, mixed_quick(300), connections=8, rate=300)
    with load:
        more(stack, load, 50)
        relays.pg.hold("down")
        more(stack, load, 100)
        relays.pg.heal()
    audit(stack, load, base, known=known)
    assert set(load.answers) == {202}
