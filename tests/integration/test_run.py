"""`make run` and `make demo` do what the README shows, for root and for others."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
JOB = r"Job ([0-9a-f-]{36}) is queued"


@pytest.fixture
def state():
    """Not below pytest's directory, which other users may not enter."""
    path = Path(tempfile.mkdtemp(prefix="millrace-state-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def run(build, state, *args, prefix=(), **env):
    return subprocess.run([*prefix, "/usr/bin/python3", str(ROOT / "scripts/run"), "--build", str(build), *args],
                          env={**os.environ, "MILLRACE_STATE": str(state), "PYTHONDONTWRITEBYTECODE": "1", **env},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300)


def processes_of(state):
    """The command lines of processes that name the directory in theirs."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if str(state).encode() in (place / "cmdline").read_bytes() and int(place.name) != os.getpid():
                found.append((place / "cmdline").read_bytes())
        except OSError:
            continue
    return found


def check_demo(done):
    assert done.returncode == 0, done.stdout + done.stderr
    for want in (JOB, r"hero +webp +2048 × 1536", r"thumb +jpeg +160 × 120", r"avatar +avif +256 × 256", r"queued \d+ ms, ran \d+ ms",
                 r"webhook job\.succeeded arrived at http://127\.0\.0\.1:\d+/hook, signature valid", r"image \| image \| succeeded"):
        assert re.search(want, done.stdout), f"{want}\n{done.stdout}"


def test_demo_runs_the_main_job_and_leaves_nothing_running(build, state):
    done = run(build, state, "--once")
    check_demo(done)
    assert not processes_of(state)
    first = re.search(JOB, done.stdout)[1]

    again = run(build, state, "--once")
    check_demo(again)
    assert re.search(r"the API is at (\S+)", again.stdout)[1] == re.search(r"the API is at (\S+)", done.stdout)[1], "the port is kept"
    assert first != re.search(JOB, again.stdout)[1]


def test_printed_lines_work_as_printed(build, state):
    child = subprocess.Popen(["/usr/bin/python3", "-u", str(ROOT / "scripts/run"), "--build", str(build)], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, env={**os.environ, "MILLRACE_STATE": str(state)})
    lines, wanted = [], []
    try:
        for line in child.stdout:
            lines.append(line)
            if line.startswith("  curl") or line.startswith("  export") or line.startswith(f"  {build}"):
                wanted.append(line.strip())
            if line.startswith("Ctrl-C"):
                break
        assert len(wanted) >= 7, "".join(lines)
        script = "set -e\n" + "\n".join(w if w.startswith("export") else f"{w} >/dev/null" for w in wanted)
        done = subprocess.run(["bash", "-c", script.replace("curl -s", "curl -sf")], cwd=state, capture_output=True, text=True, check=False)
        assert done.returncode == 0, script + done.stderr
        assert (state / "card.webp").read_bytes()[8:12] == b"WEBP"
    finally:
        child.send_signal(signal.SIGINT)
        rest = child.communicate(timeout=120)[0]
    assert child.returncode == 0, rest
    assert not processes_of(state)


def test_own_picture_is_taken(build, state, picture):
    done = run(build, state, "--once", "--image", str(picture(800, 600)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"hero +webp +800 × 600", done.stdout), "nothing is enlarged unless asked"


def test_missing_picture_is_an_error_that_names_it(build, state):
    done = run(build, state, "--once", "--image", "/no/such.jpg")
    assert done.returncode != 0 and "/no/such.jpg" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_ordinary_user_can_run_it(build, state):
    """Only what others may read: the programs are copied to where they can be reached."""
    place = state / "programs"
    place.mkdir()
    for name in ("millrace", "millrace-api", "millrace-worker", "millrace-render", "picture"):
        shutil.copy2(build / name, place)
    for lib in build.glob("libvips-cpp.so.*"):
        shutil.copy2(lib, place)
    for part in ("scripts", "deploy"):
        shutil.copytree(ROOT / part, place / part)
    home = state / "home"
    home.mkdir()
    shutil.chown(home, "nobody", "nogroup")
    env = {k: v for k, v in os.environ.items() if k not in ("HOME", "MILLRACE_STATE", "XDG_STATE_HOME", "TMPDIR")}
    done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "/usr/bin/python3", str(place / "scripts/run"),
                           "--once", "--build", str(place)], env={**env, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300, cwd=state)
    check_demo(done)
    assert (home / ".local/state/millrace/postgres/PG_VERSION").exists(), "the default is the XDG state directory"


def test_missing_packages_are_named_where_they_cannot_be_installed(tmp_path):
    """A machine that has nothing, and nobody who may install."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "dirname", "tr", "sed", "grep", "id", "cmp", "cat"):
        (tools / name).symlink_to(shutil.which(name))
    for name, body in (("dpkg-query", "exit 1"), ("sudo", "exit 1"), ("id", "echo 1000")):
        (tools / name).unlink(missing_ok=True)
        (tools / name).write_text(f"#!{shutil.which('sh')}\n{body}\n")
        (tools / name).chmod(0o755)
    done = subprocess.run([shutil.which("sh"), str(ROOT / "scripts/deps"), "run"], env={"PATH": str(tools)}, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 1
    for name in ("gcc", "libuv1-dev", "postgresql", "libllhttp-dev or node-llhttp"):
        assert name in done.stderr, done.stderr


# A child that takes a second to stop what it has started.
CHILD = "trap 'sleep 1; touch stopped; exit 3' INT; touch started; while :; do sleep 0.05; done"
SUITE = f"""
import importlib.machinery, importlib.util
loader = importlib.machinery.SourceFileLoader("suite", {str(ROOT / "scripts/test")!r})
suite = importlib.util.module_from_spec(importlib.util.spec_from_loader("suite", loader))
loader.exec_module(suite)
suite.run_to_end(["/bin/sh", "-c", {CHILD!r}])
"""


def test_an_interrupted_suite_waits_for_what_it_started(state):
    """Ctrl-C goes to the whole group, and pytest has services to stop."""
    suite = subprocess.Popen(["/usr/bin/python3", "-Bc", SUITE], cwd=state, stderr=subprocess.PIPE, start_new_session=True)
    while not (state / "started").exists():
        assert suite.poll() is None, suite.communicate()[1].decode()
        time.sleep(0.01)
    os.killpg(suite.pid, signal.SIGINT)
    _, said = suite.communicate(timeout=60)
    assert suite.returncode != 0 and b"KeyboardInterrupt" in said
    assert (state / "stopped").exists()
