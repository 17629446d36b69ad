"""The worlds that are explored, and the Redis for it."""

import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from model.scripts import LEASE
from model.world import Job, Size

sys.path[:0] = [str(Path(__file__).resolve().parent.parent.parent / "scripts")]

from stack import Redis  # noqa: E402


ONE_OF_A_KEY, ONE_OF_ALL = "0 0 0 0 1 0 0 0", "1 0 0 0 0 0 0 0"
ONE_PER_LEASE = f"0 0 0 0 0 1 {LEASE} 1"


def cancelling(depth, one, alone, quiet):
    return {
        "a job is cancelled, its worker dies": alone._replace(kinds=("crash",), cancels=True, watched=True, **quiet),
        "a job is cancelled, its connection is cut": alone._replace(kinds=("cut",), cancels=True, **quiet),
        "a delayed job is cancelled": alone._replace(jobs=(Job("delayed"),), faults=depth - 1, cancels=True),
        "a job is cancelled, two consumers": one._replace(faults=depth - 1, cancels=True, settles=("done", "again"), **quiet),
    }


def unique(alone, quiet):
    def two(policy, how="ready", **more):
        return alone._replace(jobs=(Job(how, unique=policy, **more), Job(how, unique=policy, **more)), kinds=("crash",), settles=("done", "retry"),
                              **quiet)

    return {
        "a unique key, the second is refused": two("reject")._replace(cancels=True),
        "a unique key, the second stands behind": two("keep", once=True),
        "a unique key, the second takes the place": two("replace", how="delayed")._replace(watched=True),
        "a unique key for a time": two("reject", window=True)._replace(faults=0, settles=("done",)),
    }


def limited(depth, alone, quiet):
    keyed = alone._replace(jobs=(Job(key=b"k"), Job(key=b"k")), limits=ONE_OF_A_KEY, **quiet)
    return {
        "one of a key runs, its worker dies": keyed._replace(kinds=("crash",), batch=2, watched=True, settles=("done", "again")),
        "one of a key runs, a connection is cut": keyed._replace(kinds=("cut",), settles=("done",)),
        "one of a key runs, two consumers": keyed._replace(processes=2, kinds=("crash",), batch=2, settles=("done", "again"), attempts=depth),
        "one of a key runs, limits come and go": keyed._replace(faults=0, limit_moves=True, settles=("done", "again")),
        "one of a key runs, it is cancelled": keyed._replace(faults=0, cancels=True, attempts=1, settles=("done", "again")),
        "one may wait, parked or not": keyed._replace(
            jobs=(Job(key=b"k", capped=True),) * 3, cap=1, kinds=("crash",), settles=("done", "again")),
        "one of all runs": keyed._replace(jobs=(Job(), Job()), limits=ONE_OF_ALL, kinds=("crash",), settles=("done", "again")),
        "one of all per lease": keyed._replace(jobs=(Job(), Job()), faults=0, limits=f"0 1 {LEASE} 1 0 0 0 0", settles=("done",), attempts=1, waits=True),
        "one of a key per lease": keyed._replace(faults=0, limits=ONE_PER_LEASE, settles=("done",)),
    }


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
        "two priorities, two consumers": Size(
            faults=0, jobs=(Job(), Job(priority=0)), attempts=depth + 1, settles=("done",), batch=2, **quiet),
        **cancelling(depth, one, alone, quiet),
        **unique(alone, quiet),
        **limited(depth, alone, quiet),
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
