"""The scripts of queue/lua, put together as queue/scripts.c does it, and the harness that runs them from any state."""

import re
from pathlib import Path

import msgpack
import redis

ROOT = Path(__file__).resolve().parent.parent.parent
LUA = ROOT / "queue/lua"
NOW, LEASE = 1_700_000_000_000, 10_000
READS = {"list", "counts", "workers", "explain"}
# These touch no key of a queue; their own tests look at them (tests/unit/test_batch.c).
ELSEWHERE = {"batch_open", "batch_end", "batch_close", "batch_look", "batch_drop"}
# What these move lies beside the jobs, but for the one that makes jobs: to the rest it is an enqueue (tests/unit/test_ticker.c).
ELSEWHERE |= {"schedule_due", "schedule_fire", "schedule_put", "schedule_get", "schedule_remove", "schedule_list"}
# One key of its own, of no queue (tests/unit/test_idem.c).
ELSEWHERE |= {"idem"}
# Writes its fields of meta and nothing else; a world begins with one, and enqueue_checked keeps it.
ELSEWHERE |= {"caps"}
# The text of another one, with other flags.
SAME = {"follow": "enqueue"}


def recipes():
    """Script -> the files that it is made of, in order, as the table in queue/scripts.c says."""
    source = (ROOT / "queue/scripts.c").read_text()
    found = re.findall(r'\[QUEUE_\w+\]\s*=\s*\{\s*"(\w+)",\s*\w+,\s*move_(\w+),\s*\{([^}]*)\}', source)
    entries = re.findall(r"^\s*\[QUEUE_\w+\]\s*=", source, re.M)
    assert found and len(found) == len(entries), "queue/scripts.c is not written as this test reads it"
    return {name: [*re.findall(r"part_\w+", parts), move] for name, move, parts in found}


class Mutation:
    """A script or part with a mistake put in: old becomes new."""

    def __init__(self, file, old, new):
        self.file, self.old, self.new = file, old, new

    def apply(self, file, text):
        if file != self.file:
            return text
        assert text.count(self.old) == 1, f"{file}.lua: {self.old!r} stands there {text.count(self.old)} times"
        return text.replace(self.old, self.new)


def harness_source(mutation=None):
    def text(file):
        plain = (LUA / f"{file}.lua").read_text()
        return mutation.apply(file, plain) if mutation else plain

    bodies = {name: "".join(text(file) for file in files) for name, files in recipes().items()
              if name not in READS | ELSEWHERE | set(SAME)}
    moves = "".join(f"moves['{name}'] = function(redis, KEYS, ARGV)\n{body}\nend\n" for name, body in bodies.items())
    return "#!lua\nlocal moves = {}\n" + moves + (Path(__file__).parent / "harness.lua").read_text()


class Machine:
    """Runs calls on a Redis that belongs to the test alone: all its keys are wiped."""

    EMPTY = msgpack.packb([])

    def __init__(self, socket, mutation=None):
        self.redis = redis.Redis(unix_socket_path=str(socket))
        self.sha = self.redis.script_load(harness_source(mutation))

    def run(self, work):
        """work: a list of (state, calls). Gives for each the list of (reply, state after)."""
        packed = [msgpack.packb([state, calls], use_bin_type=False) for state, calls in work]
        reply = self.redis.evalsha(self.sha, 0, NOW, LEASE, *packed)
        return msgpack.unpackb(reply, raw=True, strict_map_key=False)
