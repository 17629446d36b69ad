"""Fixtures of the whole-system tests: real Redis, real PostgreSQL, the real programs.

MILLRACE_BUILD names the build tree (default build/debug). Each stack lives in a temporary
directory of its own, on unix sockets and free ports, and is stopped by process id. A test that fails shows
the ends of the daemons' logs. After the last test of a stack the programs must have ended by
themselves with 0 and, under a sanitizer, without a report.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from stack import Stack  # noqa: E402
from support.client import Client  # noqa: E402
from support.faults import QUICK  # noqa: E402

BUILD = Path(os.environ.get("MILLRACE_BUILD", ROOT / "build/debug")).resolve()

def sanitizer_reports(directory):
    found = []
    for log in Path(directory).glob("log/*.log"):
        text = log.read_text(errors="replace")
        if any(mark in text for mark in ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "must(")):
            found.append(f"{log.name}:\n{text[-6000:]}")
    return found


class Template:
    """A PostgreSQL cluster with an empty database, made when it is first asked for: copying it is quicker than initdb."""

    dir = cluster = None

    @classmethod
    def get(cls):
        if cls.dir is None:
            cls.dir = Path(tempfile.mkdtemp(prefix="millrace-template-"))
            cls.dir.chmod(0o711)
            stack = Stack(cls.dir, BUILD, pg_extra=("fsync=off",))
            stack.pg.start()
            stack.pg.create_database()
            stack.stop()
            cls.cluster = stack.pg.dir
        return cls.cluster

    @classmethod
    def remove(cls):
        if cls.dir is not None:
            shutil.rmtree(cls.dir)
            cls.dir = None


class StackFactory:
    """Makes stacks that are stopped and checked when their scope ends."""

    def __init__(self, build):
        self.build, self.made = build, []

    def __call__(self, start=True, redis_extra=(), pg_extra=(), **config):
        directory = Path(tempfile.mkdtemp(prefix="millrace-test-"))
        directory.chmod(0o711)  # PostgreSQL runs as a user of its own when the tests run as root
        stack = Stack(directory, self.build, config={**QUICK, **config}, redis_extra=redis_extra, pg_extra=("fsync=off", "track_commit_timestamp=on", *pg_extra))
        stack.pg.template = Template.get()
        stack.client = Client(stack)
        self.made.append(stack)
        if start:
            stack.start()
        return stack

    def api_only(self, **config):
        """Redis and the API: for tests that need neither PostgreSQL nor a worker."""
        stack = self(start=False, **config)
        stack.redis.start()
        stack.start_api()
        stack.client.until(lambda: stack.get("/readyz")[0] == 200, "readiness")
        return stack

    def close(self):
        bad = []
        for stack in self.made:
            codes = stack.stop()
            bad += [f"{name} ended with {code}" for name, code in codes.items() if code not in (0, *stack.client.excused)]
            bad += sanitizer_reports(stack.dir)
            shutil.rmtree(stack.dir, ignore_errors=True)
        assert not bad, "\n".join(bad)


@pytest.fixture(scope="session")
def build():
    assert (BUILD / "millrace-worker").exists(), f"{BUILD} holds no programs: make first"
    yield BUILD
    Template.remove()


@pytest.fixture(scope="module")
def stack(build):
    """One running stack for all tests of a file that leave it as they found it."""
    factory = StackFactory(build)
    try:
        yield factory()
    finally:  # also when a start failed half way
        factory.close()


@pytest.fixture(scope="module")
def module_stacks(build):
    """For files whose tests share a stack that is not the usual one."""
    factory = StackFactory(build)
    yield factory
    factory.close()


@pytest.fixture
def stacks(build):
    """For tests that need a stack of their own, or break it."""
    factory = StackFactory(build)
    yield factory
    factory.close()


@pytest.fixture(scope="session")
def picture(build, tmp_path_factory):
    """picture(width, height): a photograph-like JPEG, made once a size."""
    import subprocess
    made, directory = {}, tmp_path_factory.mktemp("pictures")

    def make(width, height):
        if (width, height) not in made:
            path = directory / f"{width}x{height}.jpg"
            subprocess.run([str(build / "picture"), str(width), str(height), str(path)], check=True)
            made[width, height] = path
        return made[width, height]

    return make


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when != "call" or not report.failed:
        return
    stacks = [v for v in item.funcargs.values() if isinstance(v, Stack)]
    stacks += [s for v in item.funcargs.values() if isinstance(v, StackFactory) for s in v.made]
    for stack in dict.fromkeys(stacks):
        for log in sorted(stack.dir.glob("log/*.log")):
            report.sections.append((log.name, log.read_text(errors="replace")[-5000:]))
