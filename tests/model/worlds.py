"""The worlds that are explored, and the Redis for it."""

import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from model.world import Job, Size

sys.path[:0] = [str(Path(__file__).resolve().parent.parent.parent / "scripts")]

from stack import Redis  # noqa: E402


def worlds(depth):
    """Name -> Size. depth is the number of faults; 1 is what fits into the tests, and up to 1 each kind has its own world."""
    more = depth > 1
    one = Size(faults=depth, attempts=depth + 1, faulty=2 if more else 1)
    alone = one._replace(processes=1, faulty=1)
    quiet = {"pauses": more, "waits": more}
    return {
        "two consumers, nobody fails": Size(faults=0, attempts=depth + 1),
        "two consumers, one dies": one._replace(kinds=("crash",), pauses=more),
        "two consumers, a connection is cut": one._replace(kinds=("cut",), **quiet),
        "two consumers, the clock is set back": one._replace(kinds=("back",), **quiet),
        "one consumer, tokens and pauses": alone,
        "a delayed job": alone._replace(jobs=(Job("delayed"),), kinds=("crash", "cut", "back"), pauses=more),
        "a bare LPUSH": alone._replace(jobs=(Job("foreign"),), pauses=more),
        "two jobs, given back one by one": alone._replace(jobs=(Job(), Job()), batch=2, give_back=1, settles=("done", "again"), **quiet),
        "two jobs of a key that may run one": one._replace(
            jobs=(Job(key=b"a"), Job(key=b"a")), kinds=("crash",), settles=("done", "again"), batch=2, key_running=1, attempts=depth, changes=True, **quiet),
        "two jobs of a key, a connection is cut": alone._replace(
            jobs=(Job(key=b"a"), Job(key=b"a")), kinds=("cut",), settles=("done",), key_running=1, **quiet),
        "two priorities, two consumers": Size(
            faults=0, jobs=(Job(), Job(priority=0)), attempts=depth + 1, settles=("done",), batch=2, **quiet),
    }


@contextmanager
def private_redis():
    """Gives its socket."""
    directory = Path(tempfile.mkdtemp(prefix="millrace-model-"))
    server = Redis(directory, directory, extra=("appendonly no", 'save ""'))
    try:
        server.start()
        yield server.socket
    finally:
        server.stop()
        shutil.rmtree(directory)
