"""Queues that share a worker's slots: in order, or by weight."""

from test_limits import most_at_once


def paused(stack, queues):
    """Makes the queues known, quiet and paused."""
    for q in queues:
        stack.client.ended(stack.client.submit({"type": "noop", "args": {}, "queue": q}))
        assert stack.request("POST", f"/v1/queues/{q}/pause", b"")[0] == 204


def fill(stack, queue, n, ms):
    return [stack.client.submit({"type": "noop", "args": {"work_ms": ms}, "queue": queue}) for _ in range(n)]


def resume(stack, queues):
    for q in queues:
        assert stack.request("POST", f"/v1/queues/{q}/resume", b"")[0] == 204


def starts(stack, ids_by_queue):
    """[(begin, end, queue)] in the order of their beginning."""
    queue_of = {i: q for q, ids in ids_by_queue.items() for i in ids}
    rows = stack.client.rows(
        "select job_id::text, extract(epoch from started_at), extract(epoch from finished_at) from attempts where job_id = any(%s::uuid[])",
        list(queue_of))
    assert len(rows) == len(queue_of)
    return sorted((float(begin), float(end), queue_of[i]) for i, begin, end in rows)


def test_strict_order_is_strict(stacks):
    stack = stacks(QUEUES="high,middle,low", QUEUE_ORDER="strict", CONCURRENCY=4)
    queues = ("low", "middle", "high")
    paused(stack, queues)
    ids = {q: fill(stack, q, 40, 10) for q in queues}
    resume(stack, queues)
    stack.client.quiet()
    ran = starts(stack, ids)
    assert most_at_once([(b, e) for b, e, _ in ran]) <= 4
    order = [q for _, _, q in ran]
    last = {q: max(i for i, x in enumerate(order) if x == q) for q in queues}
    # what was begun before the better queue was resumed, and a claim that was under way
    assert order[:last["high"]].count("low") <= 12 and order[:last["high"]].count("middle") <= 8
    assert order[:last["middle"]].count("low") <= 12
    assert last["high"] < last["middle"] < last["low"]


def test_a_better_queue_comes_first_as_soon_as_it_has_jobs(stacks):
    stack = stacks(QUEUES="high,low", QUEUE_ORDER="strict", CONCURRENCY=2)
    ids = {"low": fill(stack, "low", 60, 30)}
    stack.client.until(lambda: stack.client.rows("select count(*) from job_list")[0][0] > 6, "some ends")
    ids["high"] = [stack.client.submit({"type": "noop", "args": {"work_ms": 5}, "queue": "high"}) for _ in range(10)]
    stack.client.quiet()
    order = [q for _, _, q in starts(stack, ids)]
    first, last = order.index("high"), max(i for i, q in enumerate(order) if q == "high")
    assert order[first:last].count("low") <= 4 and order[last:].count("low") > 20


def test_weights_are_the_shares_and_nobody_starves(stacks):
    stack = stacks(QUEUES="a:5,b:3,c:1", QUEUE_ORDER="weighted", CONCURRENCY=3)
    stack.start_worker("2")
    queues = ("a", "b", "c")
    paused(stack, queues)
    ids = {q: fill(stack, q, 200, 8) for q in queues}
    resume(stack, ("c", "b", "a"))
    stack.client.quiet()
    ran = starts(stack, ids)
    assert most_at_once([(b, e) for b, e, _ in ran]) <= 6
    order = [q for _, _, q in ran]
    until_a_is_empty = order[:max(i for i, q in enumerate(order) if q == "a")]
    assert 100 <= until_a_is_empty.count("b") <= 145  # 120
    assert 28 <= until_a_is_empty.count("c") <= 60  # 40, and what began before the others were resumed


def test_what_a_queue_does_not_use_goes_to_the_others(stacks):
    stack = stacks(QUEUES="a:1000,b:1", QUEUE_ORDER="weighted", CONCURRENCY=5)
    ids = {"b": fill(stack, "b", 60, 20)}
    stack.client.quiet()
    assert most_at_once([(b, e) for b, e, _ in starts(stack, ids)]) == 5


def test_queues_that_share_slots_keep_their_own_bounds(stacks):
    stack = stacks(QUEUES="a:2=1,b", QUEUE_ORDER="weighted", CONCURRENCY=4)
    queues = ("a", "b")
    paused(stack, queues)
    ids = {q: fill(stack, q, 30, 20) for q in queues}
    resume(stack, queues)
    stack.client.quiet()
    ran = starts(stack, ids)
    assert most_at_once([(b, e) for b, e, q in ran if q == "a"]) == 1
    assert most_at_once([(b, e) for b, e, _ in ran]) == 4
