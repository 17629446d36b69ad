"""The questions, one file each: run(bed, settings, report). rounds() asks all contenders in turn."""

import subprocess
import threading
import time

import psycopg2
import redis

from lib.report import Absent
from stack import StackError

TROUBLE = (StackError, subprocess.SubprocessError, OSError, redis.RedisError, psycopg2.Error, ValueError)
QUIET_S = 600
LOOK_S = 0.004
WARM_PART = 0.2  # of a queue, drained before the clock starts: compilers and caches are warm then


def rounds(n, contenders, say=print):
    """contenders: {name: function}. A B C, A B C, ...; gives {name: [result of each round]} or Absent for who failed."""
    found = {name: [] for name in contenders}
    for i in range(n):
        for name, run in contenders.items():
            if isinstance(found[name], Absent):
                continue
            try:
                found[name].append(run())
            except TROUBLE as e:
                found[name] = Absent(e)
                say(f"  (round {i + 1}: {name}: {found[name].reason})")
    return found


def part(results, key):
    """One column of results that are dictionaries."""
    return results if isinstance(results, Absent) else [r[key] for r in results]


class Drain:
    """Watches a queue of a known length run empty, from before the first worker is there: a thread looks every few milliseconds.
    The clock starts when the warm part is done."""

    def __init__(self, left, on_warm=None, look_s=LOOK_S):
        self.left, self.on_warm, self.look_s = left, on_warm, look_s
        self.whole, self.trouble, self.result = left(), None, None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    def watch(self):
        try:
            self.look()
        except TROUBLE as e:
            self.trouble = e

    def look(self):
        start, before = None, time.monotonic()
        while not self.stopping.is_set():
            n, now = self.left(), time.monotonic()
            if n == self.whole:
                before = now
            elif start is None and 0 < n <= self.whole * (1 - WARM_PART):
                start = (now, n)
                if self.on_warm:
                    self.on_warm()
            if n == 0:
                self.result = (now, *(start or (before, self.whole)))
                return
            time.sleep(self.look_s)

    def rate(self, timeout_s=QUIET_S):
        """Waits for the end: (jobs a second, jobs counted)."""
        self.thread.join(timeout_s)
        if self.trouble:
            raise self.trouble
        if self.result is None:
            raise StackError(f"{self.left()} of {self.whole} jobs were left after {timeout_s} s")
        end, start, counted = self.result
        return counted / (end - start), counted


def wait_empty(left, timeout_s=QUIET_S):
    end = time.monotonic() + timeout_s
    while left() > 0:
        if time.monotonic() > end:
            raise StackError(f"{left()} jobs were left after {timeout_s} s")
        time.sleep(LOOK_S)
    return time.monotonic()


def present(contenders):
    """{name: (peer, function)} to {name: function}; a peer that is absent becomes a function that says so."""
    def say_absent(why):
        def run():
            raise StackError(why)
        return run
    return {name: say_absent(peer.absent()) if peer.absent() else run for name, (peer, run) in contenders.items()}


def cpu_note_ms(used, jobs):
    return "CPU an image: " + ", ".join(f"{k} {1e3 * v / jobs:.1f} ms" for k, v in used.items())


def cpu_note(used, jobs):
    return "CPU a job: " + ", ".join(f"{k} {1e6 * v / jobs:.1f} µs" for k, v in used.items()) if jobs else ""
