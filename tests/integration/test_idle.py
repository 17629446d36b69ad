"""What a worker that has nothing to do asks of Redis."""

import socket
from collections import Counter

QUEUES = ("default", "image", "notify")
LOOKS = 5  # of each queue: the window; how long it takes does not matter


def watched(stack):
    """Redis's commands as MONITOR tells them, but for those inside of scripts: (name, words)."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(str(stack.redis.socket))
        s.sendall(b"MONITOR\r\n")
        lines = s.makefile("rb")
        assert lines.readline() == b"+OK\r\n"
        for line in lines:
            head, _, words = line.decode(errors="replace").partition("] ")
            if not head.endswith(" lua"):
                words = [w.strip('"') for w in words.split()]
                yield words[0].upper(), words[1:]


def looks_of(commands, n):
    """Counts the commands until each queue has had n calls of one script: by name; and the scripts, by their digests, of each queue."""
    names, scripts = Counter(), {q: Counter() for q in QUEUES}
    for name, words in commands:
        if name == "EVALSHA":
            scripts[words[2].split("{")[1].split("}")[0]][words[0]] += 1
        else:
            names[name] += 1
        if all(max(c.values(), default=0) >= n for c in scripts.values()):
            return names, scripts
    raise AssertionError("Redis has gone")


def window(stack):
    """As above, once it has come to rest: after its start it looks whether there is anything to do."""
    commands = watched(stack)
    looks_of(commands, 2)
    return looks_of(commands, LOOKS)


def idle_stack(stacks):
    stack = stacks(start=False, QUEUES=",".join(QUEUES), BEAT="2s", LEASE="10s")
    stack.start_services()
    stack.start_worker()
    return stack


def test_an_idle_worker_sends_one_script_a_look_and_little_else(stacks):
    stack = idle_stack(stacks)
    names, scripts = window(stack)
    kinds = {digest for c in scripts.values() for digest in c}
    assert len(kinds) == 1, f"beat, due jobs, the dead and ticks are seen to by one script: {scripts}"
    looks = sum(sum(c.values()) for c in scripts.values())
    assert looks <= len(QUEUES) * (LOOKS + 1), scripts
    # A look of a queue comes every 1.5 s: this is less than one command a queue and second.
    assert looks + sum(names.values()) <= 1.5 * looks, (looks, names)
    assert set(names) <= {"BLPOP", "PING"}, names


def test_a_worker_that_only_looks_stays_registered(stacks):
    """Its beats go along: what the reaper of another worker sees of it."""
    stack = idle_stack(stacks)
    r = stack.client.redis
    first = {q: r.zrange(f"mr:{{{q}}}:consumers", 0, -1, withscores=True) for q in QUEUES}
    stack.client.until(lambda: all(r.zscore(f"mr:{{{q}}}:consumers", first[q][0][0]) > first[q][0][1] + 3000 for q in QUEUES), "later beats")
    assert not stack.client.events("worker-1", "consumer.lost")
