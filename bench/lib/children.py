"""Processes of a run: started in sessions of their own, stopped by process id, measured through /proc."""

import os
import signal
import subprocess
import time
from pathlib import Path

from stack import Process, StackError, wait_until

STOP_S = 20


def descendants(pid):
    """The process and all that it started, as far as they live."""
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        found.append(p)
        try:
            for task in Path(f"/proc/{p}/task").iterdir():
                todo += [int(c) for c in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_of(pid):
    """Seconds of processor that a process and its children have used, with all threads that have ended. In ticks of ten milliseconds:
    the kernel counts exactly and rounds only what it shows."""
    total = 0
    for p in descendants(pid):
        try:
            fields = Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total * TICK_S


def memory_of(pid, tree=False):
    """Resident bytes. For a tree the sum counts shared pages once a process."""
    total = 0
    for p in descendants(pid) if tree else [pid]:
        try:
            status = Path(f"/proc/{p}/status").read_text()
        except OSError:
            continue
        line = next((x for x in status.splitlines() if x.startswith("VmRSS")), None)
        total += int(line.split()[1]) * 1024 if line else 0
    return total


def peak_of(pid):
    """Bytes, the sum of VmHWM of the process and all below it: each at its largest, what they share counted in each."""
    total = 0
    for p in descendants(pid):
        try:
            for line in Path(f"/proc/{p}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    total += int(line.split()[1]) * 1024
        except OSError:
            continue
    return total


def kill_session(pids, session):
    """What a killed parent has left behind; a pid that is somebody else's by now is in another session."""
    for pid in pids:
        try:
            if pid != session and os.getsid(pid) == session:
                os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


class Children:
    """All processes that a run has started, beside those that a Stack looks after."""

    def __init__(self, directory):
        self.dir, self.running, self.count = Path(directory), [], 0

    def start(self, name, argv, env=None, ready=None, **kw):
        """ready: text of its log that says that it can be used."""
        self.count += 1
        p = Process(name, argv, self.dir / f"{name}-{self.count}.log", env={**os.environ, **(env or {})}, **kw)
        self.running.append(p)
        if ready:
            wait_until(lambda: ready in p.log.read_text(errors="replace"), name, process=p.popen, log=p.log)
        return p

    def stop(self, *processes, number=signal.SIGTERM):
        for p in processes:
            p.ask(number)
        for p in processes:
            tree = descendants(p.pid) if p.alive() else []
            p.stop(number, timeout_s=STOP_S)
            kill_session(tree, p.pid)
            if p in self.running:
                self.running.remove(p)

    def stop_all(self):
        self.stop(*list(self.running))

    def run(self, name, argv, env=None, timeout_s=600, cwd=None):
        """Runs it to its end; gives its output. It is among the running ones meanwhile, so that an interrupt stops it."""
        p = self.start(name, argv, env=env, cwd=cwd)
        try:
            code = p.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise StackError(f"{name}: not done after {timeout_s} s") from None
        finally:
            self.stop(p)
        text = p.log.read_text(errors="replace")
        if code != 0:
            raise StackError(f"{name}: exit {code}: {text[-300:]}")
        return text


def stop_strays():
    """Children that nobody has written down: an interrupt may come between a start and its note."""
    strays = descendants(os.getpid())[1:]
    for pid in strays:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


class CpuMeter:
    """Processor seconds of named processes between two looks."""

    def __init__(self, **pids):
        self.pids = {k: v for k, v in pids.items() if v}
        self.before = {k: self.total(v) for k, v in self.pids.items()}

    @staticmethod
    def total(pids):
        return sum(cpu_of(p) for p in (pids if isinstance(pids, list) else [pids]))

    def used(self):
        return {k: self.total(v) - self.before[k] for k, v in self.pids.items()}


def now_us():
    """The clock that all languages here can read alike."""
    return time.monotonic_ns() // 1000
